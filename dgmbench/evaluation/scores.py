"""The scores of two sets of features or images, whoever made them: a trained model here, or anybody."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.evaluation.diversity import pairwise_distance_ratio
from dgmbench.evaluation.fid_bias import fid_curve, rows_needed
from dgmbench.evaluation.frechet import fid, fid_std_error
from dgmbench.evaluation.inception import InceptionSpace, load_weights
from dgmbench.evaluation.kernel_distance import kernel_distance
from dgmbench.evaluation.order import drawn, in_order, some_images
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


@dataclass(frozen=True)
class Floor:
    """What n training images score in the place of generated ones: their distance, and its curve over n.

    A perfect model would score so. The curve is empty where the sets are too small for one.
    """

    value: float
    n: int
    sizes: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]

    @classmethod
    def of(cls, space: str, train: Tensor, real: Tensor, seed: int) -> Floor:
        """From features of n training images [n, f] and of held-out ones [m, f]."""
        train, real = in_order(train), in_order(real)
        value, none = fid(train, real), np.array([])
        if min(len(train), len(real)) < rows_needed(real.shape[1]):
            return cls(value, len(train), none, none)
        curve = fid_curve(train, real, np.random.default_rng(derive_seed("floor", seed)), *CURVES[space])
        return cls(value, len(train), np.array(curve.sizes), np.array(curve.values))

    @classmethod
    def from_arrays(cls, kept: Mapping[str, np.ndarray[Any, Any]]) -> Floor:
        """Back from `arrays`."""
        return cls(float(kept["value"]), int(kept["n"]), kept["sizes"], kept["values"])

    @property
    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything as arrays, to be kept."""
        return {
            "value": np.array(self.value),
            "n": np.array(self.n),
            "sizes": self.sizes,
            "values": self.values,
        }


def fid_scores(
    space: str, generated: Tensor, real: Tensor, floor: Floor, settings: EvaluationSettings
) -> Iterator[Score]:
    """`fid_<space>`, its floor, its value without bias, and the sizes of both sets.

    Args:
        generated: features [n, f]; real: held-out ones [m, f]. Their order does not matter.
    The curve of FID against n is left out where the sets are too small for one.
    """
    generated, real = in_order(generated), in_order(real)
    n = len(generated)
    rng = np.random.default_rng(derive_seed("fid", settings.seed))
    resamples = settings.inception.resamples if space == "inception" else RESAMPLES
    error = fid_std_error(generated, real, resamples, rng)
    yield Score(f"fid_{space}", fid(generated, real), error, n)
    yield Score(f"n_generated_{space}", n, None, n, "exact")
    yield Score(f"n_real_{space}", len(real), None, n, "exact")
    yield Score(f"fid_{space}_floor", floor.value, None, floor.n)
    if min(n, len(real)) >= rows_needed(real.shape[1]):
        yield _without_bias(space, generated, real, floor, error, rng)


def _without_bias(
    space: str, generated: Tensor, real: Tensor, floor: Floor, error: float, rng: np.random.Generator
) -> Score:
    curve = fid_curve(generated, real, rng, *CURVES[space])
    arrays = {"n": np.array(curve.sizes), "fid": np.array(curve.values), "infinity": np.array(curve.infinity)}
    if len(floor.sizes):
        arrays |= {"floor_n": floor.sizes, "floor": floor.values}
    # Which images there are, and which rows of them were drawn for the curve.
    error = math.hypot(error, curve.fit_error)
    return Score(f"fid_{space}_infinity", curve.infinity, error, len(generated), arrays=arrays)


def kernel_scores(
    space: str, generated: Tensor, real: Tensor, settings: EvaluationSettings
) -> Iterator[Score]:
    """`kid_<space>`: the kernel distance over all pairs of at most `kid_samples` of either set."""
    sets = drawn((generated, real), settings.kid_samples, settings.seed)
    found = kernel_distance(*sets)
    yield Score(f"kid_{space}", found.value, found.std_error, len(sets[0]))


def fidelity_scores(
    space: str, generated: Tensor, real: Tensor, settings: EvaluationSettings
) -> Iterator[Score]:
    """Precision, recall, density and coverage, from as many images of the one set as of the other."""
    n = min(settings.prdc_samples, len(generated), len(real))
    generated, real = drawn((generated, real), n, settings.seed)
    found = fidelity(generated, real, settings.prdc_neighbours)
    suffix = "" if space == "domain" else f"_{space}"
    for name, error in found.std_errors.items():
        yield Score(name + suffix, getattr(found, name), error, n)


def diversity_score(generated: Tensor, real: Tensor, settings: EvaluationSettings) -> Score:
    """`pairwise_distance_ratio` of images [n, C, H, W]."""
    limit = settings.diversity_samples
    found = pairwise_distance_ratio(
        *(some_images(images, limit, settings.seed) for images in (generated, real))
    )
    return Score("pairwise_distance_ratio", found.ratio, found.std_error, min(limit, len(generated)))


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
