"""Gaussian kernel density (Parzen 1962), streamed over its centres.

One place for models (a density at the training images) and for evaluation (one at generated images). The
centres come as a stream that is read once and forgotten block by block, so that a million generated images
need no more memory than ten thousand do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

# Rows and columns of a block of distances: 8 MiB in float64, whatever the number of points and centres.
POINT_BLOCK, CENTRE_BLOCK = 512, 2048


@torch.no_grad()
def gaussian_kernel_log_density(
    centres: Tensor | Iterable[Tensor], x: Tensor, bandwidths: Sequence[float]
) -> Tensor:
    """log (1/m) sum_j N(x; c_j, h^2 I) of each point under each h: float64 [n, len(bandwidths)], nats.

    centres: [m, ...], or one pass over chunks [m_i, ...] of any sizes on any device; the chunks are cut anew
        into blocks of fixed size, so that the result is the same bytes however the stream was cut.
    x: [n, ...] on the device that is to do the work; the result is on the CPU. Points and centres are floats
        of one scale, flattened to d values. No gradients.

    Time is linear in m; memory beyond the inputs is a float64 copy of x, a block of distances and a chunk.
    Raises ValueError on no centres or points, unequal widths, integers, and on a bandwidth that is not
    positive and finite.
    """
    points = _flat(x, "points").to(torch.float64)
    widths = _checked_bandwidths(bandwidths)
    # Distances are taken about the mean of x, which is known before the first centre comes.
    origin = points.mean(0)
    points = points - origin
    running = torch.full((len(points), len(widths)), -math.inf, dtype=torch.float64, device=x.device)
    count = 0
    for block in _blocks([centres] if isinstance(centres, Tensor) else centres, points):
        _add_kernels(running, points, block.sub_(origin), widths)
        count += len(block)
    if count == 0:
        raise ValueError("there are no centres; a kernel density needs at least one (a stream is read once)")
    norms = [math.log(count) + points.shape[1] * math.log(h * math.sqrt(2 * math.pi)) for h in widths]
    return (running - running.new_tensor(norms)).cpu()


def _add_kernels(running: Tensor, points: Tensor, centres: Tensor, bandwidths: Sequence[float]) -> None:
    """Add one block of centred centres to `running`, the log of the sums of unnormalised kernels."""
    lengths = centres.square().sum(1)
    for rows, sums in zip(points.split(POINT_BLOCK), running.split(POINT_BLOCK), strict=True):
        squared = _squared_distances(rows, centres, lengths)
        nearest = squared.amin(1)
        shifted = torch.sub(nearest[:, None], squared, out=squared)
        for column, bandwidth in enumerate(bandwidths):
            precision = 0.5 / bandwidth**2
            total = (shifted * precision).exp_().sum(1).log_() - nearest * precision
            sums[:, column] = torch.logaddexp(sums[:, column], total)


def _squared_distances(points: Tensor, centres: Tensor, lengths: Tensor) -> Tensor:
    """Squared distances [b, c] of the rows of `points` and `centres`; `lengths` is |centres|^2.

    By |x|^2 + |c|^2 - 2 x.c, which cancels where x and c are close; about a common origin and in float64
    the loss is some 1e-14 of |x|^2, far below the 1e-6 that a density needs.
    """
    offsets = points.square().sum(1, keepdim=True) + lengths
    return torch.addmm(offsets, points, centres.T, alpha=-2.0).clamp_(min=0.0)


def _blocks(chunks: Iterable[Tensor], like: Tensor) -> Iterator[Tensor]:
    """The rows of all chunks in float64 blocks of CENTRE_BLOCK (the last may be shorter).

    A block is overwritten when the next one is requested.
    """
    block = like.new_empty((CENTRE_BLOCK, like.shape[1]))
    filled = 0
    for chunk in chunks:
        rows = _flat(chunk, "centres", like.shape[1])
        while len(rows) > 0:
            taken = rows[: CENTRE_BLOCK - filled]
            block[filled : filled + len(taken)].copy_(taken)
            rows, filled = rows[len(taken) :], filled + len(taken)
            if filled == CENTRE_BLOCK:
                yield block
                filled = 0
    if filled > 0:
        yield block[:filled]


def _flat(images: Tensor, name: str, width: int | None = None) -> Tensor:
    """`images` as [n, d]; centres (those with a due width) may be empty, since one chunk of many can be."""
    if images.ndim < 2 or (width is None and len(images) == 0):
        raise ValueError(f"the {name} are empty or not of shape [n, ...]: {tuple(images.shape)}")
    if not images.is_floating_point():
        raise ValueError(
            f"the {name} are {images.dtype}; a bandwidth is in pixel units, so give floats in [0, 1]"
        )
    flat = images.detach().flatten(1)
    if width is not None and flat.shape[1] != width:
        raise ValueError(f"centres have {flat.shape[1]} values each and points {width}; they must agree")
    return flat


def _checked_bandwidths(bandwidths: Sequence[float]) -> list[float]:
    widths = [float(bandwidth) for bandwidth in bandwidths]
    if not widths:
        raise ValueError("the grid of bandwidths is empty; the published one is logspace(-1, 0, 10)")
    for width in widths:
        if not (width > 0 and math.isfinite(width)):
            raise ValueError(f"a bandwidth is positive and finite, not {width}; pixel units, such as 0.2")
    return widths
