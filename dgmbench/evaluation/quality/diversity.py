"""How different samples are from each other, in pixels: 0 is one image again and again, 1 is as data are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_VALUES = 1 << 23


@dataclass(frozen=True)
class DiversityRatio:
    """Mean pairwise distance of samples over that of real images, and its standard error."""

    ratio: float
    std_error: float


def mean_pairwise_distance(images: Tensor) -> tuple[float, float]:
    """Mean L2 distance over all pairs of images [n, ...], flattened, and its standard error; in float64.

    A U-statistic of order two: its error is 2 sd(g) / sqrt(n) with g_i the mean distance of image i to the
    others (Hoeffding 1948). Raises ValueError for fewer than two images or values that are not finite.
    """
    if images.ndim < 2 or len(images) < 2:
        raise ValueError(f"pairs are of at least two images [n, ...], not {tuple(images.shape)}")
    points = images.detach().cpu().flatten(1).double()
    if not bool(torch.isfinite(points).all()):
        raise ValueError("images hold NaN or infinite values")
    points = points - points.mean(0)
    lengths = points.square().sum(1)
    means = []
    n = len(points)
    for rows in torch.arange(n).split(max(BLOCK_VALUES // n, 1)):
        squared = torch.addmm(lengths[rows][:, None] + lengths, points[rows], points.T, alpha=-2.0)
        # Rounding leaves no image at a distance from itself.
        squared[torch.arange(len(rows)), rows] = 0.0
        means.append(squared.clamp_(min=0.0).sqrt_().sum(1) / (n - 1))
    each = torch.cat(means)
    return float(each.mean()), 2 * float(each.std()) / math.sqrt(n)


def pairwise_distance_ratio(samples: Tensor, real: Tensor) -> DiversityRatio:
    """Mean pairwise distance of `samples` over that of `real`, its standard error by the delta method.

    Raises ValueError as `mean_pairwise_distance`, for images of different form, and for equal real images.
    """
    if samples.shape[1:] != real.shape[1:]:
        raise ValueError(f"samples are {tuple(samples.shape[1:])} and real images {tuple(real.shape[1:])}")
    (above, error_above), (below, error_below) = mean_pairwise_distance(samples), mean_pairwise_distance(real)
    if below == 0:
        raise ValueError("the real images are all equal; a ratio of distances has no scale")
    ratio = above / below
    return DiversityRatio(ratio, math.hypot(error_above, ratio * error_below) / below)
