"""The scores of two sets of features or images, whoever made them: a trained model here, or anybody."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
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
from dgmbench.evaluation.order import drawn, some_images
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
    """What n training images score in the place of generated ones; a perfect model would score about so.

    It is a little better than that: the training images are drawn without replacement from sets that hold
    the classes in equal shares, and the domain classifier knows them.

    sizes, values: the curve of their distance over n, empty where the sets are too small for one.
    others: value and number of images of further scores by name (`kid`, `precision`, ...), as many as could
        be had.
    """

    value: float
    n: int
    sizes: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]
    others: Mapping[str, tuple[float, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, space: str, train: Tensor, real: Tensor, settings: EvaluationSettings) -> Floor:
        """From features of n training images [n, f] and of held-out ones [m, f]."""
        sizes, values = np.array([]), np.array([])
        with warnings.catch_warnings():
            # That there are few images is said of the samples, which are at least as many.
            warnings.simplefilter("ignore")
            value = fid(train, real)
        if min(len(train), len(real)) >= rows_needed(real.shape[1]):
            rng = np.random.default_rng(derive_seed("floor", settings.seed))
            curve = fid_curve(train, real, rng, *CURVES[space])
            sizes, values = np.array(curve.sizes), np.array(curve.values)
        others: dict[str, tuple[float, int]] = {}
        for measure in (_kernel, _fidelity):
            with contextlib.suppress(ValueError):
                others |= {name: (value, n) for name, value, _, n in measure(train, real, settings)}
        return cls(value, len(train), sizes, values, others)

    @classmethod
    def from_arrays(cls, kept: Mapping[str, np.ndarray[Any, Any]]) -> Floor:
        """Back from `arrays`."""
        names, numbers = (kept[key].tolist() for key in ("others", "others_n"))
        others = dict(zip(map(str, kept["names"]), zip(names, numbers, strict=True), strict=True))
        return cls(float(kept["value"]), int(kept["n"]), kept["sizes"], kept["values"], others)

    @property
    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything as arrays, to be kept."""
        return {
            "value": np.array(self.value),
            "n": np.array(self.n),
            "sizes": self.sizes,
            "values": self.values,
            "names": np.array(list(self.others), dtype=np.str_),
            "others": np.array([value for value, _ in self.others.values()], dtype=float),
            "others_n": np.array([n for _, n in self.others.values()], dtype=int),
        }


def space_scores(
    space: str, generated: Tensor, real: Tensor, floor: Floor, settings: EvaluationSettings
) -> Iterator[tuple[str, Iterator[Score]]]:
    """All scores in a feature space, each under a name to call it by where it fails.

    Args:
        generated: features [n, f] in `shuffled`'s order; real: held-out ones [m, f].
    """
    sets = generated, real, floor, settings
    yield f"FID ({space})", fid_scores(space, *sets)
    yield f"KID ({space})", kernel_scores(space, *sets)
    yield f"precision, recall, density and coverage ({space})", fidelity_scores(space, *sets)


def fid_scores(
    space: str, generated: Tensor, real: Tensor, floor: Floor, settings: EvaluationSettings
) -> Iterator[Score]:
    """`fid_<space>`, its floor, its value without bias, and the sizes of both sets.

    The curve of FID against n is left out where the sets are too small for one.
    """
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
    space: str, generated: Tensor, real: Tensor, floor: Floor, settings: EvaluationSettings
) -> Iterator[Score]:
    """`kid_<space>` over all pairs of at most `kid_samples` of either set, and its floor."""
    yield from _beside_floor(_kernel(generated, real, settings), floor, f"_{space}")


def fidelity_scores(
    space: str, generated: Tensor, real: Tensor, floor: Floor, settings: EvaluationSettings
) -> Iterator[Score]:
    """Precision, recall, density and coverage, from as many images of the one set as of the other; floors."""
    suffix = "" if space == "domain" else f"_{space}"
    yield from _beside_floor(_fidelity(generated, real, settings), floor, suffix)


# Name, value, standard error, and images of either set.
_Found = tuple[str, float, float | None, int]


def _kernel(generated: Tensor, real: Tensor, settings: EvaluationSettings) -> list[_Found]:
    sets = drawn((generated, real), settings.kid_samples, settings.seed)
    found = kernel_distance(*sets)
    return [("kid", found.value, found.std_error, len(sets[0]))]


def _fidelity(generated: Tensor, real: Tensor, settings: EvaluationSettings) -> list[_Found]:
    n = min(settings.prdc_samples, len(generated), len(real))
    chosen, held_out = drawn((generated, real), n, settings.seed)
    found = fidelity(chosen, held_out, settings.prdc_neighbours)
    return [(name, getattr(found, name), error, n) for name, error in found.std_errors.items()]


def _beside_floor(found: Sequence[_Found], floor: Floor, suffix: str) -> Iterator[Score]:
    for name, value, error, n in found:
        yield Score(name + suffix, value, error, n)
        if name in floor.others:
            theirs, count = floor.others[name]
            yield Score(f"{name}{suffix}_floor", theirs, None, count)


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
