"""The scores of two sets of features or images, of any origin: a trained model's, or those of a file."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.evaluation.features.inception import InceptionSpace, load_weights
from dgmbench.evaluation.quality.fid_bias import fid_curve, rows_needed
from dgmbench.evaluation.quality.frechet import FidErrors, fid, fid_errors
from dgmbench.evaluation.quality.kernel_distance import kernel_distance
from dgmbench.evaluation.quality.prdc import NAMES, FidelityErrors, fidelity, fidelity_errors
from dgmbench.evaluation.subsets import drawn, drawn_rows
from dgmbench.points import Points
from dgmbench.results import Kind
from dgmbench.settings import EvaluationSettings, InceptionSettings
from dgmbench.training.seeding import derive_seed

# Sizes of the curve of FID against n, and repeats: a distance takes seconds in 2048 features.
CURVES = {"domain": (6, 4), "inception": (5, 1)}
# Places of resamples among points lie from here to twice as far, beyond those of any test image.
HALVES = 1 << 29
# Draws behind the curvature of FID, in a space that does not set it.
RESAMPLES = 40


@dataclass(frozen=True)
class Score:
    """One number, its standard error over generated and test images, and the number n of generated ones.

    arrays: what a figure of it is drawn from. points: values around it by test image, or by resample of the
    test images, with the generated images given; their standard error is over test images alone.
    """

    metric: str
    value: float
    std_error: float | None
    n: int
    kind: Kind = "estimate"
    arrays: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    points: Points | None = None


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
        with contextlib.suppress(ValueError):
            mine, theirs = drawn((train, real), settings.kid_samples, settings.seed)
            others["kid"] = kernel_distance(mine, theirs).value, len(mine)
        with contextlib.suppress(ValueError):
            mine, theirs = drawn((train, real), _alike(train, real, settings), settings.seed)
            found = fidelity(mine, theirs, settings.prdc_neighbours)
            others |= {name: (value, len(mine)) for name, value in zip(NAMES, found.values, strict=True)}
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


def fid_scores(
    space: str, generated: Tensor, real: Tensor, floor: Floor, settings: EvaluationSettings
) -> Iterator[Score]:
    """`fid_<space>`, its floor, its value without bias, and the sizes of both sets.

    The curve of FID against n is left out where the sets are too small for one.
    """
    n = len(generated)
    rng = np.random.default_rng(derive_seed("fid", settings.seed))
    resamples = settings.inception.resamples if space == "inception" else RESAMPLES
    errors = fid_errors(generated, real, resamples, rng)
    points = Points.of(errors.by_image)
    yield Score(f"fid_{space}", fid(generated, real), errors.std_error, n, points=points)
    yield Score(f"n_generated_{space}", n, None, n, "exact")
    yield Score(f"n_real_{space}", len(real), None, n, "exact")
    yield Score(f"fid_{space}_floor", floor.value, None, floor.n)
    if min(n, len(real)) >= rows_needed(real.shape[1]):
        yield _without_bias(space, generated, real, floor, errors, rng)


def _without_bias(
    space: str, generated: Tensor, real: Tensor, floor: Floor, errors: FidErrors, rng: np.random.Generator
) -> Score:
    curve = fid_curve(generated, real, rng, *CURVES[space])
    arrays = {"n": np.array(curve.sizes), "fid": np.array(curve.values), "infinity": np.array(curve.infinity)}
    if len(floor.sizes):
        arrays |= {"floor_n": floor.sizes, "floor": floor.values}
    # Which images there are, and which rows of them were drawn for the curve.
    error = math.hypot(errors.std_error, curve.fit_error)
    slopes = errors.by_image - errors.by_image.mean()
    wider = math.hypot(errors.over_real, curve.fit_error) / errors.over_real if errors.over_real else 1.0
    points = Points.of(curve.infinity + wider * slopes)
    return Score(f"fid_{space}_infinity", curve.infinity, error, len(generated), arrays=arrays, points=points)


def kernel_scores(
    space: str, generated: Tensor, real: Tensor, floor: Floor, settings: EvaluationSettings
) -> Iterator[Score]:
    """`kid_<space>` over all pairs of at most `kid_samples` of either set, and its floor."""
    sets = generated, real
    mine, theirs = drawn_rows(sets, settings.kid_samples, settings.seed)
    found = kernel_distance(generated[mine], real[theirs])
    points = Points.of(found.by_row, theirs)
    yield from _beside_floor("kid", f"_{space}", floor, found.value, found.std_error, len(mine), points)


def fidelity_scores(
    space: str, generated: Tensor, real: Tensor, floor: Floor, settings: EvaluationSettings
) -> Iterator[Score]:
    """Precision, recall, density and coverage, from as many images of the one set as of the other; floors.

    Their errors are left out where halves of the sets would be too small to have neighbours.
    """
    suffix, k = "" if space == "domain" else f"_{space}", settings.prdc_neighbours
    mine, theirs = drawn_rows((generated, real), _alike(generated, real, settings), settings.seed)
    sets, n = (generated[mine], real[theirs]), len(mine)
    found = fidelity(*sets, k)
    # The halves of the test images are drawn alike for all models, and are numbered beyond the images.
    seed = derive_seed("halves", n, settings.seed)
    try:
        errors = fidelity_errors(*sets, found, k, seed)
    except ValueError:
        errors = FidelityErrors({}, {})
    first = seed % HALVES + HALVES
    points = {"recall": Points.of(found.recalled.astype(float), theirs)}
    for name, around in errors.by_resample.items():
        points[name] = Points(first + np.arange(len(around)), around)
    for name, value in zip(NAMES, found.values, strict=True):
        error = errors.std_errors.get(name)
        yield from _beside_floor(name, suffix, floor, value, error, n, points.get(name))


def _alike(generated: Tensor, real: Tensor, settings: EvaluationSettings) -> int:
    return min(settings.prdc_samples, len(generated), len(real))


def _beside_floor(
    name: str, suffix: str, floor: Floor, value: float, error: float | None, n: int, points: Points | None
) -> Iterator[Score]:
    yield Score(name + suffix, value, error, n, points=points)
    if name in floor.others:
        theirs, count = floor.others[name]
        yield Score(f"{name}{suffix}_floor", theirs, None, count)


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
