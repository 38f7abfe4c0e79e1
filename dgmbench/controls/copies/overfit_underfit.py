"""Overfit and underfit at the same time: part of the data is memorised, and a class is given up.

Both models know only some training images, none of them of one class. One repeats them, each pixel moved
within its level (a kernel density so narrow that its samples look like data); the other is a GAN that was
trained on them alone. They are held against unseen real images: half of the test images takes the place of
samples, the other half is what all sets are compared with.

Scores of copying should then say "overfit" (the distance to training images over that of unseen ones, and
AuthPct), scores of what is covered "underfit" (recall, and the effective number of classes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from dgmbench.claims.claim import judge
from dgmbench.controls.asking import found_by, given
from dgmbench.controls.control import (
    Context,
    Control,
    ControlSettings,
    Curve,
    Finding,
    Panel,
    Sheet,
)
from dgmbench.controls.instruments import SHOWN
from dgmbench.evaluation.copies.memorisation import memorisation
from dgmbench.evaluation.quality.class_coverage import coverage_of_classes
from dgmbench.evaluation.quality.in_features import domain_fid, domain_fidelity
from dgmbench.metrics import UNITS, declared
from dgmbench.models.adversarial.gan import GAN, GANSettings
from dgmbench.results import Record
from dgmbench.statistics import Interval, student_interval
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples
from dgmbench.training.outcome import How
from dgmbench.training.seeding import initialising

UNSEEN, MEMORISED, TRAINED = "unseen", "memorised", "gan"
TITLES = {UNSEEN: "unseen images", MEMORISED: "repeats what it knows", TRAINED: "GAN on the same images"}
METRICS = ("nn_distance_ratio", "auth_pct", "precision", "recall", "effective_classes", "fid_domain")
ASKED = (memorisation, domain_fidelity, coverage_of_classes, domain_fid)
# Those that have to fall below what unseen images score.
OVERFIT, UNDERFIT = ("nn_distance_ratio", "auth_pct"), ("recall", "effective_classes")


class OverfitUnderfitSettings(ControlSettings):
    """What the two models know, and the GAN's training."""

    known: int = Field(100, ge=20, description="training images that they know")
    repetitions: int = Field(5, ge=2, description="choices of images, of the class and of the halves")
    epochs: PositiveInt = Field(600, description="of the GAN, passes over the images that it knows")
    learning_rate: PositiveFloat = Field(1e-3, description="of the GAN: Adam's step size")
    latent_dim: PositiveInt = Field(16, description="of the GAN: dimensions of z")
    hidden: list[PositiveInt] = Field([128, 128], min_length=1, description="of the GAN: widths")


@dataclass(frozen=True)
class _Halves:
    """Raw images: those known, and the test images that stand for samples or are compared with."""

    known: Tensor
    unseen: Tensor
    reference: Tensor
    dropped: int


class OverfitUnderfit(Control[OverfitUnderfitSettings]):
    """Models of part of the data."""

    Settings = OverfitUnderfitSettings
    title = "Overfit and underfit at once"
    claim = (
        "A model can memorise and underfit at the same time: one that repeats the training images it knows "
        "and has given up a class is nearer to the training set than unseen images are, and covers less."
    )
    source = (
        "Lucic et al. 2018, section 5 (precision and recall); Theis et al. 2016, section 3.3 (neighbours)"
    )
    needs_labels = True

    def run(self, context: Context) -> Finding:
        """Measure all sets `repetitions` times; one is judged by its differences to unseen images."""
        context.lap()
        values: dict[str, dict[str, list[float]]] = {name: {m: [] for m in METRICS} for name in TITLES}
        records: list[Record] = []
        sheets: list[Sheet] = []
        failures: list[str] = []
        for repetition in range(self.settings.repetitions):
            halves = self._halves(context, repetition)
            sets = {UNSEEN: halves.unseen, MEMORISED: self._repeat(context, halves, repetition)}
            drawn, failure = self._gan(context, halves, repetition)
            failures += [failure] if failure else []
            sets |= {} if drawn is None else {TRAINED: drawn}
            for name, images in sets.items():
                found = self._measure(context, images, halves, name, repetition)
                records += found
                for record in found:
                    values[name][record.metric].append(record.value)
            sheets = sheets or [
                Sheet(_titled(name, halves), images[:SHOWN].numpy(), context.data.levels)
                for name, images in sets.items()
            ]
        falls = {metric: _fall(values, MEMORISED, metric) for metric in (*OVERFIT, *UNDERFIT)}
        if len(next(iter(values[TRAINED].values()))) < 2:
            # Of fewer there is no interval; it is not what is judged.
            del values[TRAINED]
        panels = [_panel(metric, values) for metric in METRICS]
        sentence = _sentence(values) + "".join(f" A GAN {failure}." for failure in failures)
        return Finding(judge(list(falls.values())), sentence, records, panels, sheets)

    def _halves(self, context: Context, repetition: int) -> _Halves:
        rng = context.rng("images", repetition)
        labels = torch.from_numpy(context.data.labels("train"))
        dropped = int(rng.integers(int(context.data.classes or 0)))
        others = torch.nonzero(labels != dropped)[:, 0]
        chosen = others[torch.from_numpy(rng.permutation(len(others))[: self.settings.known])]
        test, half = context.raw("test"), context.data.size("test") // 2
        rows = torch.from_numpy(rng.permutation(len(test)))
        return _Halves(context.raw("train")[chosen], test[rows[:half]], test[rows[half : 2 * half]], dropped)

    def _repeat(self, context: Context, halves: _Halves, repetition: int) -> Tensor:
        """Known images drawn anew, each pixel a level up or down with the chance of one in eight for each."""
        noise = context.generator("repeat", repetition)
        n, levels = len(halves.unseen), context.data.levels
        rows = torch.randint(len(halves.known), (n,), generator=noise, device=noise.device).cpu()
        drawn = halves.known[rows].to(torch.int64)
        steps = torch.randint(8, drawn.shape, generator=noise, device=noise.device).cpu()
        moved = drawn + (steps == 0).long() - (steps == 1).long()
        return moved.clamp(0, levels - 1).to(torch.uint8)

    def _gan(self, context: Context, halves: _Halves, repetition: int) -> tuple[Tensor | None, str | None]:
        """Its images, if there are any, and how its training failed, if it did."""
        settings = self.settings
        training = {"epochs": settings.epochs, "batch_size": settings.known,
                    "validate_every": settings.epochs,
                    "learning_rate": settings.learning_rate}  # fmt: skip
        own = GANSettings.model_validate(
            {"family": "gan", "view": "gray", "latent_dim": settings.latent_dim, "average": 0.99,
             "generator_hidden": settings.hidden, "discriminator_hidden": settings.hidden,
             # Trained to the end whatever becomes of it: an epoch is one step, and its images are measured.
             "least_variance": 0.0, "least_signal": 0.0,
             "training": training}
        )  # fmt: skip
        with initialising("control", context.control, context.seed, repetition):
            model = GAN(own, context.data.schema)
        known, device = halves.known.to(context.device), context.device
        examples = Examples.of_images(known, context.raw("valid").to(device), context.data_seed)
        how = How(device, label=f"{context.control} {repetition}")
        ended = train(model, examples, own.training, context.seed + repetition, how)
        failure = None if ended.status == "completed" else f"{ended.status}: {ended.reason}"
        with torch.no_grad():
            drawn = model.sample(len(halves.unseen), context.generator("sample", repetition))
        if not bool(torch.isfinite(drawn).all()):
            return None, failure or "drew what is not finite"
        return model.view.decode(drawn).cpu(), failure

    def _measure(
        self, context: Context, images: Tensor, halves: _Halves, name: str, repetition: int
    ) -> list[Record]:
        """Distances are to all training images, as in the comparison of models; the rest to test images."""
        seed = context.seed + repetition
        asked = given(context, images, name, seed=seed, real={"test": halves.reference})
        return found_by(asked, METRICS, *ASKED)


def _titled(name: str, halves: _Halves) -> str:
    return TITLES[name] if name == UNSEEN else f"{TITLES[name]}, without class {halves.dropped}"


Values = Mapping[str, Mapping[str, list[float]]]


def _fall(values: Values, name: str, metric: str) -> Interval:
    """By how much a set scores less than unseen images, over repetitions."""
    pairs = zip(values[UNSEEN][metric], values[name][metric], strict=True)
    return student_interval([unseen - own for unseen, own in pairs])


def _sentence(values: Values) -> str:
    mean = {
        name: {metric: student_interval(column).mean for metric, column in columns.items()}
        for name, columns in values.items()
    }
    said = [
        f"{TITLES[name]}: distance ratio {m['nn_distance_ratio']:.2f}, AuthPct {m['auth_pct']:.0f} %, "
        f"precision {m['precision']:.2f}, recall {m['recall']:.2f}, {m['effective_classes']:.1f} effective "
        f"classes, domain FID {m['fid_domain']:.1f}"
        for name, m in mean.items()
    ]
    return f"{'; '.join(said)}."


def _panel(metric: str, values: Values) -> Panel:
    intervals = [student_interval(columns[metric]) for columns in values.values()]
    curve = Curve.of("mean, 95 % over repetitions", [float(place) for place in range(len(values))], intervals)
    sides = {**dict.fromkeys(OVERFIT, " (low: overfit)"), **dict.fromkeys(UNDERFIT, " (low: underfit)")}
    label, unit = declared(metric).label, UNITS[declared(metric).units[0]]
    axis = f"{label} ({unit})" if unit else label
    return Panel(label + sides.get(metric, ""), "", axis, [curve], x_names=[TITLES[name] for name in values])
