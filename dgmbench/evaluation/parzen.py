"""Parzen window log-likelihood of a model's samples: a heuristic that rewards the wrong things.

The protocol is that of Breuleux et al. 2011 as in the code of Goodfellow et al. 2014: an isotropic Gaussian
at each of the samples, its bandwidth chosen on validation images. Theis et al. 2016 show that k-means
centres beat the truth under it; it is reported beside proper likelihoods and never instead of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# The grid of the authors' code: logspace(-1, 0, 10).
PUBLISHED_GRID: tuple[float, ...] = tuple(10 ** (-1 + i / 9) for i in range(10))
# Rows and columns of a block of distances: 16 MiB in float64, whatever the number of samples and images.
POINT_BLOCK, SAMPLE_BLOCK = 512, 4096


@dataclass(frozen=True)
class BandwidthChoice:
    """The bandwidth with the highest mean validation score.

    scores: mean log-likelihood of the validation images per grid value, nats per image.
    at_edge: the best is the smallest or largest of the grid, so a better one may lie outside.
    """

    bandwidth: float
    grid: tuple[float, ...]
    scores: tuple[float, ...]
    at_edge: bool


def parzen_log_likelihood(samples: Tensor, x: Tensor, bandwidth: float) -> Tensor:
    """log (1/m) sum_j N(x; s_j, bandwidth^2 I) of each image: float64 [n] on the CPU, nats.

    samples: [m, ...] and x: [n, ...], floats of one scale, flattened to d values. Memory beyond the two
    inputs does not grow with m or n. Raises ValueError on empty, unequal or integer inputs or a bandwidth
    that is not positive.
    """
    return _log_likelihoods(samples, x, [bandwidth])[:, 0]


def select_bandwidth(
    samples: Tensor, valid: Tensor, grid: Sequence[float] = PUBLISHED_GRID
) -> BandwidthChoice:
    """Choose the bandwidth on validation images alone; all of the grid from one pass over the distances.

    Raises ValueError if the grid is empty, and as `parzen_log_likelihood` does.
    """
    if len(grid) == 0:
        raise ValueError("the grid of bandwidths is empty; the published one is logspace(-1, 0, 10)")
    ordered = sorted({float(bandwidth) for bandwidth in grid})
    scores = _log_likelihoods(samples, valid, ordered).mean(0).tolist()
    best = max(range(len(ordered)), key=scores.__getitem__)
    return BandwidthChoice(ordered[best], tuple(ordered), tuple(scores), best in (0, len(ordered) - 1))


def _log_likelihoods(samples: Tensor, x: Tensor, bandwidths: Sequence[float]) -> Tensor:
    """Check the inputs and stream over the images: [n, number of bandwidths]."""
    samples, x = _flat(samples, "samples"), _flat(x, "images")
    if samples.shape[1] != x.shape[1]:
        raise ValueError(f"samples have {samples.shape[1]} values each and images {x.shape[1]}")
    if min(bandwidths) <= 0 or not math.isfinite(max(bandwidths)):
        raise ValueError(f"a bandwidth is positive and finite, not {min(bandwidths)}")
    center = _mean(samples)
    parts = [_log_density(samples, block, center, bandwidths) for block in x.split(POINT_BLOCK)]
    return torch.cat(parts).cpu()


def _log_density(samples: Tensor, x: Tensor, center: Tensor, bandwidths: Sequence[float]) -> Tensor:
    """Log density of one block of images under each bandwidth, [b, number of bandwidths]."""
    precisions = [0.5 / bandwidth**2 for bandwidth in bandwidths]
    running = torch.full((len(x), len(bandwidths)), -math.inf, dtype=torch.float64, device=x.device)
    for squared in _squared_distances(samples, x, center):
        nearest = squared.amin(1)
        shifted = nearest[:, None] - squared
        for column, precision in enumerate(precisions):
            total = (shifted * precision).exp_().sum(1).log_() - nearest * precision
            running[:, column] = torch.logaddexp(running[:, column], total)
    norms = [math.log(len(samples)) + x.shape[1] * math.log(h * math.sqrt(2 * math.pi)) for h in bandwidths]
    return running - torch.tensor(norms, dtype=torch.float64, device=x.device)


def _squared_distances(samples: Tensor, x: Tensor, center: Tensor) -> Iterator[Tensor]:
    """Yield blocks [b, c] of squared distances of x to the samples.

    By |x|^2 + |s|^2 - 2 x.s, which cancels where x and s are close; about a common centre and in float64
    the loss is some 1e-14 of |x|^2, far below the 1e-6 that is asked of a density.
    """
    points = x.to(torch.float64) - center
    lengths = points.square().sum(1, keepdim=True)
    for block in samples.split(SAMPLE_BLOCK):
        kernels = block.to(torch.float64) - center
        yield torch.addmm(lengths + kernels.square().sum(1), points, kernels.T, alpha=-2.0).clamp_(min=0.0)


def _mean(samples: Tensor) -> Tensor:
    total = torch.zeros(samples.shape[1], dtype=torch.float64, device=samples.device)
    for block in samples.split(SAMPLE_BLOCK):
        total += block.sum(0, dtype=torch.float64)
    return total / len(samples)


def _flat(images: Tensor, name: str) -> Tensor:
    if images.ndim < 2 or len(images) == 0:
        raise ValueError(f"the {name} are empty or not of shape [n, ...]: {tuple(images.shape)}")
    if not images.is_floating_point():
        raise ValueError(
            f"the {name} are {images.dtype}; a bandwidth is in pixel units, so give floats in [0, 1]"
        )
    return images.detach().flatten(1)
