"""What the latents of a model carry: units in use, and KL(q(z|x) || p(z)) dimension by dimension.

A unit is active if its posterior mean moves with the image: Cov_x(E_q[u|x]) > 0.01 (Burda, Grosse &
Salakhutdinov 2016, section 5.2). The threshold presumes latents on the scale of a prior near N(0, 1), so
codes without a posterior (a plain auto-encoder's), whose scale is arbitrary, are not counted.

**Whose features are codes.** `encode` gives features of any kind: a GAN's are its discriminator's and no
latents of its generator, even where their numbers agree. They count as codes if the model can decode, has as
many latents as features, and declares inference: weights p(x, z)/q(z|x), an observation model p(x|z), or a
reconstruction error as its objective. A GAN has none of the three.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor

from dgmbench.errors import CapabilityError
from dgmbench.evaluation.arrays import save_arrays
from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.spaces.latent_geometry import Codes
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import (
    CanEncode,
    CanReconstruct,
    HasGaussianPosterior,
    HasKLPerDimension,
    HasLogWeights,
    HasObservationModel,
)
from dgmbench.results import Record

ACTIVE = 1e-2
# Declares inference of its decoder's latents, by any one of these.
INFERS = (HasLogWeights, HasObservationModel, CanReconstruct)


class Decoder(Protocol):
    """What is left to ask of a model that `has_codes`."""

    latent_dim: int

    def decode(self, z: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` for ``z [n, latent_dim]``."""
        ...


def unit_variances(means: Tensor) -> Tensor:
    """Cov_x(E_q[u|x]) of each unit, float64 ``[latent]``, of posterior means ``[n, latent]``, n of 2 or more.

    Raises ValueError for other shapes and for means that are not finite.
    """
    if means.ndim != 2 or len(means) < 2:
        raise ValueError(f"variances need posterior means [n, latent] of 2 images, not {tuple(means.shape)}")
    if not bool(torch.isfinite(means).all()):
        raise ValueError("there are posterior means that are not finite")
    return means.double().var(0)


def active_units(means: Tensor, threshold: float = ACTIVE) -> int:
    """How many units' posterior means ``[n, latent]`` vary over images by more than `threshold`."""
    return int((unit_variances(means) > threshold).sum())


def kl_per_dimension(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each dimension, float64 ``[latent]``, nats per image.

    Args:
        mean: ``[n, latent]``, of n images, over which the result is averaged.
        log_variance: of the same shape.

    Kingma & Welling 2013, appendix B. Raises ValueError for other shapes.
    """
    if mean.shape != log_variance.shape or mean.ndim != 2 or len(mean) == 0:
        shapes = f"{tuple(mean.shape)} and {tuple(log_variance.shape)}"
        raise ValueError(f"a posterior needs means and log-variances of one shape [n, latent], not {shapes}")
    mean, log_variance = mean.double(), log_variance.double()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(0)


def has_codes(model: object) -> bool:
    """Whether the model infers its own decoder's latents (see the module); their number is yet to be seen."""
    infers = isinstance(model, INFERS)
    decodes = hasattr(model, "decode") and hasattr(model, "latent_dim")
    return infers and decodes and isinstance(model, CanEncode)


def codes_of(subject: Subject, split: str, limit: int | None = None) -> Codes | None:
    """Codes ``[n, latent_dim]`` of a split's first images; None where the features are no codes."""
    if not has_codes(subject.run.model):
        return None
    features = subject.features(split, limit)
    return features if features.shape[1] == cast(Decoder, subject.run.model).latent_dim else None


@measure(needs=((HasLogWeights, HasObservationModel),))
def latents(subject: Subject, folder: Path) -> Iterator[Record]:
    """Active units over the test images.

    Leaves ``units-<seed>.npz``: variances, the threshold, and the KL of each dimension where it is known.
    """
    codes = codes_of(subject, "test")
    if codes is None:
        return
    means = torch.from_numpy(codes)
    arrays = {"variances": unit_variances(means).numpy(), "threshold": np.array(ACTIVE)}
    kl = mean_kl_per_dimension(subject)
    if kl is not None:
        arrays["kl"] = kl.numpy()
    save_arrays(folder / f"units-{subject.run.info['seed']}.npz", **arrays)
    yield subject.record(
        "active_units", active_units(means), n=len(means), unit="1", kind="estimate", seconds=subject.lap()
    )


def mean_kl_per_dimension(subject: Subject) -> Tensor | None:
    """KL of each dimension of z in nats, mean over test images, float64 ``[latent]``; None where unknown."""
    model = subject.run.model
    if not isinstance(model, (HasKLPerDimension, HasGaussianPosterior)):
        return None
    total, images = torch.zeros((), dtype=torch.float64), subject.inputs("test")
    try:
        with torch.no_grad():
            for x in images.split(subject.settings.batch_size):
                total = total + len(x) * _kl_of(model, x).cpu()
    except CapabilityError:
        # The capability is the family's; this entry's posterior has no closed form.
        return None
    return total / len(images)


def _kl_of(model: HasKLPerDimension | HasGaussianPosterior, x: Tensor) -> Tensor:
    if isinstance(model, HasKLPerDimension):
        return model.kl_per_dimension(x).double().mean(0)
    return kl_per_dimension(*model.gaussian_posterior(x))
