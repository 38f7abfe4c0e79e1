"""Kernel distance of two sets of features: the squared maximum mean discrepancy (Binkowski et al. 2018).

With the cubic kernel k(a, b) = (a.b / f + 1)^3 (their section 4), on Inception features, it is known as KID.
Unlike the Fréchet distance its estimate has no bias, whatever the number of samples; it may be negative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

# Kernel values that are held at once: 128 MiB of float64.
BLOCK_VALUES = 1 << 24


class Draws(Protocol):
    """A NumPy generator, new or old."""

    def choice(self, a: int, size: int, replace: bool) -> np.ndarray:
        """`size` of 0..a-1."""


@dataclass(frozen=True)
class KernelDistance:
    """An unbiased estimate of the squared MMD, and how far it may be off, from which samples there are.

    std_error: over both sets. by_row: float64 [m], over the rows of y with x given: values around the
    estimate whose mean has that standard error.
    """

    value: float
    std_error: float
    by_row: np.ndarray


def kernel_distance(x: Tensor, y: Tensor) -> KernelDistance:
    """Unbiased estimate of MMD^2 from all pairs: features x [n, f] and y [m, f], in float64.

    mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean k(x_i, y_j) (Gretton et al. 2012, eq. 3).
    The first-order projection gives the variance 4 var(g)/n for each set, with g_i = mean_j k(x_i, x_j) -
    mean_j k(x_i, y_j) (Sutherland et al. 2017, section 3.1). Estimated from the same rows it holds the
    quadratic part of the statistic twice; that part is taken away once, or the error would be 1.4 times too
    large where both sets come from one distribution.
    Memory is bounded whatever n and m. Raises ValueError for fewer than two rows or unequal widths.
    """
    x, y = _checked(x), _checked(y)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"the features are {x.shape[1]} and {y.shape[1]} values wide")
    n, m = len(x), len(y)
    across_x, across_y, squares = _sums(x, y)
    (within_x, curved_x), (within_y, curved_y) = _within(x), _within(y)
    value = float(within_x.mean() + within_y.mean() - 2 * across_x.sum() / (n * m))
    slopes = [2 * (within_x - across_x / m), 2 * (within_y - across_y / n)]
    spread_x, spread_y = (float(slope.var()) / len(slope) for slope in slopes)
    means = float((across_x / m).square().mean() + (across_y / n).square().mean())
    crossed = 4 / (n * m) * max(squares / (n * m) - means + float(across_x.mean() / m) ** 2, 0.0)
    both = _less(spread_x + spread_y, curved_x + curved_y + crossed)
    shrunk = math.sqrt(_less(spread_y, curved_y) / spread_y) if spread_y > 0 else 0.0
    by_row = value + shrunk * (slopes[1] - slopes[1].mean())
    return KernelDistance(value, math.sqrt(both), by_row.numpy())


def _less(projected: float, curved: float) -> float:
    """Linear plus quadratic part, from the projection (which holds the latter twice) and the latter."""
    return max(projected - curved, projected / 2)


def _within(x: Tensor) -> tuple[Tensor, float]:
    """Mean of k(x_i, x_j) over the other rows j, [n], and the variance of the quadratic part.

    The latter is 2 / (n (n - 1)) times the mean square of the doubly centred kernel.
    """
    n, diagonal = len(x), _diagonal(x)
    sums, _, squares = _sums(x, x)
    means = (sums - diagonal) / (n - 1)
    pairs = (squares - float(diagonal.square().sum())) / (n * (n - 1))
    centred = pairs - 2 * float(means.square().mean()) + float(means.mean()) ** 2
    return means, 2 / (n * (n - 1)) * max(centred, 0.0)


def subset_kernel_distances(x: Tensor, y: Tensor, subsets: int, size: int, rng: Draws) -> np.ndarray:
    """MMD^2 of `subsets` pairs of subsets of `size` rows each, without replacement: float64 [subsets].

    The mean and standard deviation over subsets are what KID is usually reported as (100 of 1000). Rows are
    drawn for x, then y, subset by subset. Raises ValueError if a set has fewer than `size` rows.
    """
    x, y = _checked(x), _checked(y)
    if min(len(x), len(y)) < size or size < 2 or subsets < 1:
        raise ValueError(f"{subsets} subsets of {size} rows of sets of {len(x)} and {len(y)}")
    values = []
    for _ in range(subsets):
        mine = torch.from_numpy(rng.choice(len(x), size, replace=False))
        theirs = torch.from_numpy(rng.choice(len(y), size, replace=False))
        values.append(kernel_distance(x[mine], y[theirs]).value)
    return np.array(values)


def _sums(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, float]:
    """Sum of k(x_i, y_j) over j, [n], over i, [m], and of its square over both."""
    rows, columns, squares = [], torch.zeros(len(y), dtype=torch.float64), 0.0
    for block in x.split(max(BLOCK_VALUES // len(y), 1)):
        kernel = (block @ y.T).div_(x.shape[1]).add_(1.0)
        kernel = kernel.square().mul_(kernel)
        rows.append(kernel.sum(1))
        columns += kernel.sum(0)
        squares += float(kernel.square_().sum())
    return torch.cat(rows), columns, squares


def _diagonal(x: Tensor) -> Tensor:
    """k(x_i, x_i), [n]."""
    return (x.square().sum(1) / x.shape[1] + 1.0) ** 3


def _checked(features: Tensor) -> Tensor:
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features are [n, f] with n >= 2, not {tuple(features.shape)}")
    features = features.detach().cpu().double()
    if not bool(torch.isfinite(features).all()):
        raise ValueError("features hold NaN or infinite values")
    return features
