"""Exact search among uint8 images by int8 products, which are exact in int32.

Distances and ties are those of the integers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from dgmbench.evaluation.copies.search_blocks import GROUP, block_rows, blocks

# |r|^2 - 2 q.r of values within 128 of zero stays in int32 below this many values.
LONGEST_INTEGER = 43_000
_INDEX_BITS = 32
_WORST = torch.iinfo(torch.int32).max


def use_integers(queries: Tensor, references: Tensor) -> bool:
    """Whether these are bytes on the CPU for which int8 products are exact, and faster on this machine."""
    bytes_alone = queries.dtype == references.dtype == torch.uint8
    short = queries[0].numel() < LONGEST_INTEGER and len(references) < 1 << _INDEX_BITS
    on_cpu = queries.device.type == references.device.type == "cpu"
    return bytes_alone and short and on_cpu and int8_pays()


def by_integers(queries: Tensor, references: Tensor, k: int, block_bytes: int) -> tuple[Tensor, Tensor]:
    """Squared distances and indices ``[n, k]`` of uint8 images, in exact integer arithmetic."""
    points = _signed(queries.detach().flatten(1))
    lengths = _squared_lengths(points).to(torch.int64)
    # A reference's int8 copy and, while its length is taken, a float32 one.
    query_rows, rows = block_rows(block_bytes, len(points), 6 * points.shape[1])
    best = torch.full((len(points), k), _WORST << _INDEX_BITS, dtype=torch.int64)
    for start, block in blocks(references, rows):
        padded = torch.zeros(-(-len(block) // GROUP) * GROUP, block.shape[1], dtype=torch.int8)
        padded[: len(block)] = _signed(block)
        offsets = torch.full((len(padded),), _WORST, dtype=torch.int32)
        offsets[: len(block)] = _squared_lengths(padded[: len(block)])
        for part, kept in zip(points.split(query_rows), best.split(query_rows), strict=True):
            product = torch._int_mm(part, padded.T)
            scores = torch.sub(offsets, product, alpha=2, out=product)
            found = torch.cat([kept, _best_keys(scores, k) + start], 1)
            kept.copy_(found.topk(k, dim=1, largest=False).values)
    best = best.sort(1).values
    return ((best >> _INDEX_BITS) + lengths[:, None]).double(), best & ((1 << _INDEX_BITS) - 1)


def _signed(images: Tensor) -> Tensor:
    """uint8 less 128, as int8: distances are the same."""
    return (images ^ 128).view(torch.int8)


def _squared_lengths(points: Tensor) -> Tensor:
    """``|x|^2`` of int8 rows, int32: exact, since float64 holds the sum."""
    return torch.cat([part.float().square_().sum(1, dtype=torch.float64) for part in points.split(512)]).int()


def _best_keys(scores: Tensor, k: int) -> Tensor:
    """The k lowest of ``scores [b, g GROUP]`` with their columns, ties in order, as score 2^32 + column.

    Only the k groups with the lowest minima (in order of groups on ties) can hold one of them.
    """
    grouped = scores.view(len(scores), -1, GROUP)
    minima = grouped.amin(2).long() << _INDEX_BITS
    minima |= torch.arange(minima.shape[1])
    groups = minima.topk(min(k, minima.shape[1]), dim=1, largest=False).values & ((1 << _INDEX_BITS) - 1)
    keys = grouped.gather(1, groups[:, :, None].expand(-1, -1, GROUP)).long() << _INDEX_BITS
    keys |= groups[:, :, None] * GROUP + torch.arange(GROUP)
    keys = keys.flatten(1)
    return keys.topk(min(k, keys.shape[1]), dim=1, largest=False).values


@cache
def int8_pays() -> bool:
    """Whether this machine's int8 products are exact and faster than float32's, by a small trial."""
    if not int8_is_exact():
        return False
    a, b = _trial()
    x, y = a.float(), b.float()
    return _seconds(lambda: torch._int_mm(a, b.T)) < _seconds(lambda: x @ y.T)


def int8_is_exact() -> bool:
    """Whether a trial's int8 products are exact; processors with AVX2 alone saturate at 16 bits."""
    product = getattr(torch, "_int_mm", None)
    if product is None:
        return False
    a, b = _trial()
    try:
        return torch.equal(product(a, b.T), (a.long() @ b.T.long()).to(torch.int32))
    except (RuntimeError, NotImplementedError):
        return False


def _trial() -> tuple[Tensor, Tensor]:
    """Two int8 matrices, [64, 784] and [128, 784], with the extreme values."""
    values = torch.tensor([-128, 127, -1, 0, 1, 127, -128], dtype=torch.int8).repeat(128 * 784 // 7 + 1)
    return values[: 64 * 784].reshape(64, 784), values[5 : 5 + 128 * 784].reshape(128, 784)


def _seconds(function: Callable[[], Tensor]) -> float:
    """The quickest of some calls: the load of the machine only ever adds."""
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return min(taken)
