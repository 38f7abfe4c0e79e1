"""Parzen window log-likelihood of a model's samples: a heuristic that rewards the wrong things.

The protocol is that of Breuleux et al. 2011 as in the code of Goodfellow et al. 2014: an isotropic Gaussian
at each of the samples, its bandwidth chosen on validation images. Theis et al. 2016 show that k-means
centres beat the truth under it; it is reported beside proper likelihoods and never instead of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from dgmbench.kernel_density import gaussian_kernel_log_density

# The grid of the authors' code: logspace(-1, 0, 10).
PUBLISHED_GRID: tuple[float, ...] = tuple(10 ** (-1 + i / 9) for i in range(10))


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


def parzen_log_likelihood(samples: Tensor | Iterable[Tensor], x: Tensor, bandwidth: float) -> Tensor:
    """log (1/m) sum_j N(x; s_j, bandwidth^2 I) of each image: float64 [n] on the CPU, nats.

    samples: [m, ...], or one pass over chunks [m_i, ...] that may be drawn as they are asked for, so that m
        is not limited by memory. x: [n, ...]. Floats of one scale, flattened to d values. Raises ValueError
        on empty, unequal or integer inputs or a bandwidth that is not positive.
    """
    return gaussian_kernel_log_density(samples, x, [bandwidth])[:, 0]


def select_bandwidth(
    samples: Tensor | Iterable[Tensor], valid: Tensor, grid: Sequence[float] = PUBLISHED_GRID
) -> BandwidthChoice:
    """Choose the bandwidth on validation images alone; all of the grid from one pass over the samples.

    samples: as for `parzen_log_likelihood`; a stream that is read here is spent, so scoring the test images
        afterwards takes a second one of the same samples.

    Raises ValueError if the grid is empty, and as `parzen_log_likelihood` does.
    """
    ordered = sorted({float(bandwidth) for bandwidth in grid})
    scores = gaussian_kernel_log_density(samples, valid, ordered).mean(0).tolist()
    best = max(range(len(ordered)), key=scores.__getitem__)
    return BandwidthChoice(ordered[best], tuple(ordered), tuple(scores), best in (0, len(ordered) - 1))
