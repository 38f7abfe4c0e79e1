"""What the Fréchet distance owes to the number of samples, and its value without that.

The distance of finite samples is too large by about c/n, with c depending on the model: a comparison at one n
may order models wrongly. It is therefore taken at several n, and a line in 1/n extrapolated to 1/n = 0 (Chong
& Forsyth 2020, section 3.2, FID infinity). They shorten the generated set alone and keep 50,000 real images;
held-out sets here are small, so both sets are shortened to n together and the bias of both is removed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dgmbench.evaluation.quality.frechet import fid

# The line is fitted from this many rows per feature upwards: below, the bias bends away from c/n.
ROWS_PER_FEATURE = 2
# And over at least this range of n, or its end at 1/n = 0 is far from all points.
RANGE = 2


@dataclass(frozen=True)
class FidCurve:
    """Fréchet distance over the number of rows n of either set, and the line through it.

    sizes: the n, ascending; values: mean distance at each n; slope: c of infinity + c/n.
    fit_error: standard error of `infinity` from which rows were drawn; it is silent about other samples.
    """

    sizes: tuple[int, ...]
    values: tuple[float, ...]
    infinity: float
    slope: float
    fit_error: float


def rows_needed(width: int) -> int:
    """How many rows either set must have for a curve in `width` features."""
    return RANGE * ROWS_PER_FEATURE * width


def fid_curve(
    generated: Tensor, real: Tensor, rng: np.random.Generator, points: int = 6, repeats: int = 4
) -> FidCurve:
    """The curve from `repeats` random subsets of both sets at each of `points` sizes, even in 1/n.

    Args:
        generated: features [n, f]; real: features [m, f].
    Raises ValueError if a set has fewer than `rows_needed(f)` rows, or there are fewer than 3 points.
    """
    most, width = min(len(generated), len(real)), generated.shape[1]
    if most < rows_needed(width) or points < 3 or repeats < 1:
        raise ValueError(
            f"a curve in {width} features takes {rows_needed(width)} rows of each set, "
            f"not {len(generated)} and {len(real)}, 3 points and a repeat"
        )
    least = max(ROWS_PER_FEATURE * width, most // 5)
    sizes = [round(1 / each) for each in np.linspace(1 / least, 1 / most, points)]
    distances = np.array(
        [[_distance_at(size, generated, real, rng) for _ in range(repeats)] for size in sizes]
    )
    infinity, slope, error = _line(1 / np.repeat(sizes, repeats), distances.ravel())
    return FidCurve(tuple(sizes), tuple(float(v) for v in distances.mean(1)), infinity, slope, error)


def _distance_at(size: int, generated: Tensor, real: Tensor, rng: np.random.Generator) -> float:
    parts = [part[torch.from_numpy(rng.permutation(len(part))[:size])] for part in (generated, real)]
    return fid(*parts)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Intercept and slope of y over x by least squares, and the standard error of the intercept."""
    center, spread = x.mean(), float(np.square(x - x.mean()).sum())
    slope = float((x - center) @ y / spread)
    intercept = float(y.mean() - slope * center)
    residual = float(np.square(y - intercept - slope * x).sum()) / (len(x) - 2)
    return intercept, slope, math.sqrt(residual * (1 / len(x) + center**2 / spread))
