"""Signs that the training of an adversarial network has collapsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dgmbench.models.adversarial.game_settings import AdversarialSettings


def sign_of_collapse(
    curves: Mapping[str, Sequence[float]], settings: AdversarialSettings, moves: int
) -> str | None:
    """Why a training has collapsed, or None: samples became alike, or the generator gets no gradient.

    The latter shows as a loss that is flat in D's output, or as images that D never mistakes (but under
    Wasserstein, where the better the critic the better the gradient; Arjovsky et al. 2017, section 3).

    Args:
        curves: the training's by name.
        settings: the thresholds.
        moves: of the generator.
    """
    training = settings.training
    looks = max(training.epochs // training.validate_every, 1)
    seen = len(curves.get("train/discriminator_accuracy", ()))
    if seen == training.epochs and moves == 0:
        return f"the generator never moved (discriminator_steps: {settings.discriminator_steps})"
    samples, images = (curves.get(f"valid/{kind}_variance", ()) for kind in ("sample", "image"))
    ratios = [own / real if real > 0 else 1.0 for own, real in zip(samples, images, strict=True)]
    # A generator starts with images alike: it has collapsed if it once drew others, or if it ends so.
    begun = max(ratios, default=0.0) >= settings.least_variance or len(ratios) >= looks
    if begun and _stays_below(ratios, settings.least_variance, settings.patience, looks):
        return f"samples varied {ratios[-1]:.2g} times as much as images"
    signals = curves.get("train/generator_signal", ())
    if _stays_below(signals, settings.least_signal, settings.patience, training.epochs):
        return f"the generator's loss was flat (a signal of {signals[-1]:.2g})"
    errors = [1 - accuracy for accuracy in curves.get("train/discriminator_accuracy", ())]
    if settings.objective != "wasserstein_gp" and _stays_below(
        errors, 1 - settings.most_accuracy, settings.patience, training.epochs
    ):
        return f"the discriminator was saturated (an accuracy of {1 - errors[-1]:.4f})"
    return None


def _stays_below(values: Sequence[float], limit: float, patience: int, most: int) -> bool:
    """Whether the last `patience` values are, or all where there are no more than `most`."""
    patience = min(patience, most)
    last = values[-patience:]
    return len(last) == patience and max(last) < limit
