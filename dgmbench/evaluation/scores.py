"""The scores of two sets of features or images, whoever made them: a trained model here, or anybody."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.errors import DataError
from dgmbench.evaluation.diversity import pairwise_distance_ratio
from dgmbench.evaluation.fid_bias import fid_curve, rows_needed
from dgmbench.evaluation.frechet import fid, fid_std_error
from dgmbench.evaluation.inception import InceptionSpace, load_weights
from dgmbench.evaluation.kernel_distance import kernel_distance
from dgmbench.evaluation.prdc import fidelity
from dgmbench.results import Kind
from dgmbench.settings import EvaluationSettings, InceptionSettings
from dgmbench.training.seeding import derive_seed

# Sizes of the curve of FID against n, and repeats: a distance takes seconds in 2048 features.
CURVES = {"domain": (6, 4), "inception": (5, 1)}
RESAMPLES = 20


@dataclass(frozen=True)
class Score:
    """One number, its standard error over samples, and the number n of generated images behind it.

    arrays: what a figure of it is drawn from.
    """

    metric: str
    value: float
    std_error: float | None
    n: int
    kind: Kind = "estimate"
    arrays: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)


def fid_scores(
    space: str, generated: Tensor, real: Tensor, train: Tensor, settings: EvaluationSettings
) -> Iterator[Score]:
    """`fid_<space>`, its floor, its value without bias, and the sizes of both sets.

    Args:
        generated: features [n, f]; real: held-out ones [m, f].
        train: features of n training images (or of as many as there are): their distance to `real` is what
            a perfect model would score at this n, the floor.
    The curve of FID against n is left out where the sets are too small for one.
    """
    n = len(generated)
    rng = np.random.default_rng(derive_seed("fid", settings.seed))
    resamples = settings.inception.resamples if space == "inception" else RESAMPLES
    error = fid_std_error(generated, real, resamples, rng)
    yield Score(f"fid_{space}", fid(generated, real), error, n)
    yield Score(f"n_generated_{space}", n, None, n, "exact")
    yield Score(f"n_real_{space}", len(real), None, n, "exact")
    yield Score(f"fid_{space}_floor", fid(train, real), None, len(train))
    if min(n, len(real)) >= rows_needed(real.shape[1]):
        yield _without_bias(space, generated, real, train, error, rng)


def _without_bias(
    space: str, generated: Tensor, real: Tensor, train: Tensor, error: float, rng: np.random.Generator
) -> Score:
    points, repeats = CURVES[space]
    curve = fid_curve(generated, real, rng, points, repeats)
    arrays = {"n": np.array(curve.sizes), "fid": np.array(curve.values), "infinity": np.array(curve.infinity)}
    if len(train) >= rows_needed(real.shape[1]):
        floor = fid_curve(train, real, rng, points, repeats)
        arrays |= {"floor_n": np.array(floor.sizes), "floor": np.array(floor.values)}
    # Which images there are, and which rows of them were drawn for the curve.
    error = math.hypot(error, curve.fit_error)
    return Score(f"fid_{space}_infinity", curve.infinity, error, len(generated), arrays=arrays)


def kernel_scores(
    space: str, generated: Tensor, real: Tensor, settings: EvaluationSettings
) -> Iterator[Score]:
    """`kid_<space>`: the kernel distance over all pairs of the first `kid_samples` of either set."""
    generated, real = generated[: settings.kid_samples], real[: settings.kid_samples]
    found = kernel_distance(generated, real)
    yield Score(f"kid_{space}", found.value, found.std_error, len(generated))


def fidelity_scores(
    space: str, generated: Tensor, real: Tensor, settings: EvaluationSettings
) -> Iterator[Score]:
    """Precision, recall, density and coverage, from as many images of the one set as of the other."""
    n = min(settings.prdc_samples, len(generated), len(real))
    found = fidelity(generated[:n], real[:n], settings.prdc_neighbours)
    suffix = "" if space == "domain" else f"_{space}"
    for name, error in found.std_errors.items():
        yield Score(name + suffix, getattr(found, name), error, n)


def diversity_score(generated: Tensor, real: Tensor, settings: EvaluationSettings) -> Score:
    """`pairwise_distance_ratio` of images [n, C, H, W]."""
    limit = settings.diversity_samples
    found = pairwise_distance_ratio(generated[:limit], real[:limit])
    return Score("pairwise_distance_ratio", found.ratio, found.std_error, min(limit, len(generated)))


def training_subset(images: Tensor, n: int, seed: int) -> Tensor:
    """n training images (or all if there are fewer), the same ones for every model: the floor's."""
    generator = torch.Generator().manual_seed(derive_seed("floor", seed))
    return images[torch.randperm(len(images), generator=generator)[:n].sort().values]


def wanted_inception(
    settings: InceptionSettings, device: torch.device, mirror: str | Path | None = None
) -> InceptionSpace | None:
    """The Inception space, or None if it is not wanted: on a CPU only `use: true` wants it.

    Raises DataError if its weights cannot be had.
    """
    wanted = device.type == "cuda" if settings.use is None else settings.use
    if not wanted:
        return None
    return InceptionSpace(load_weights(settings.weights, mirror=mirror), device, settings.batch_size)


def inception_space(
    settings: InceptionSettings, device: torch.device, mirror: str | Path | None = None
) -> InceptionSpace | None:
    """As `wanted_inception`, but weights that cannot be had are told on standard error and give None."""
    try:
        return wanted_inception(settings, device, mirror)
    except DataError as error:
        print(error, file=sys.stderr)
        return None
