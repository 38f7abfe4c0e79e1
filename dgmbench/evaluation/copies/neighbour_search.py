"""Exact nearest neighbours in Euclidean distance, by blocked matrix products within a bound on memory.

Two ways to the same answer. Images of uint8 take products of int8, which are exact in int32, so that
distances and ties are those of the integers. Anything else takes float32 products, which propose candidates;
float64 differences decide among them, and where the rounding bound of the products cannot rule out all others
the query is searched again.

The references are read once for every `QUERIES` queries, block by block; a tensor over a memory-mapped array
is never in memory as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor

# Queries per pass over the references, and per block of scores.
QUERIES, QUERY_BLOCK = 16384, 1024
# Neighbouring references of which only the best is looked at first: a minimum is far cheaper than a sort.
GROUP = 32
# Candidates beyond the k asked for; the second round is for queries with more near-ties than that.
SPARE = (4, 64)
# |r|^2 - 2 q.r of values within 128 of zero stays in int32 below this many values.
LONGEST_INTEGER = 43_000
_INDEX_BITS = 32
_WORST = torch.iinfo(torch.int32).max


def k_nearest(
    queries: Tensor, references: Tensor, k: int = 1, block_bytes: int = 1 << 26
) -> tuple[Tensor, Tensor]:
    """Distances (float64 ``[n, k]``, L2) to, and indices (int64) of, each query's k nearest references.

    queries: ``[n, ...]`` and references: ``[m, ...]``, each of d values; integer images are taken as they
    are. Nearest first; exact, with ties in the order of the indices, and the same whatever `block_bytes` is:
    about the memory taken beyond the inputs and, for a pass, a copy of its queries. Raises ValueError on
    empty or unequal inputs and for k outside 1 to m.
    """
    _check(queries, references, k)
    engine = _engine(queries, references)
    parts = [engine(block, references, k, block_bytes) for block in queries.split(QUERIES)]
    squared, indices = (torch.cat([part[i] for part in parts]).cpu() for i in (0, 1))
    # NumPy rounds a root correctly; torch's may differ in the last bit with its place in the tensor.
    return torch.from_numpy(np.sqrt(squared.numpy())), indices


def nearest(queries: Tensor, references: Tensor, block_bytes: int = 1 << 26) -> tuple[Tensor, Tensor]:
    """Distance (float64 ``[n]``) to, and index (int64 ``[n]``) of, the nearest reference of each query.

    As `k_nearest` with k = 1: exact copies have distance 0, ties go to the lowest index.
    """
    distances, indices = k_nearest(queries, references, 1, block_bytes)
    return distances[:, 0], indices[:, 0]


def nearest_other(references: Tensor, rows: Tensor, block_bytes: int = 1 << 26) -> Tensor:
    """Distance (float64 ``[n]``) of the references in ``rows [n]`` to the nearest of the other references.

    Zero for one that is there twice. Raises ValueError if there is only one reference.
    """
    if len(references) < 2:
        raise ValueError("a single image has no other to be near to; two references are needed")
    distances, indices = k_nearest(references[rows], references, 2, block_bytes)
    # Where duplicates hide the row itself, both found are others, at distance 0.
    first_is_itself = indices[:, 0] == rows.cpu()
    return torch.where(first_is_itself, distances[:, 1], distances[:, 0])


def nearest_under_shifts(
    queries: Tensor, references: Tensor, pixels: int = 1, block_bytes: int = 1 << 26
) -> tuple[Tensor, Tensor, Tensor]:
    """Distance, index and shift of the nearest reference when images may be moved by up to `pixels`.

    queries and references: ``[., C, H, W]``. Over each of the (2 pixels + 1)^2 shifts (down, right) the two
    are compared where they overlap; what left the frame is not made up. The mean square over the overlap is
    brought to all d values, so that a small overlap is not favoured: a moved copy has distance 0 whatever
    came in at its border. Costs as many searches as there are shifts. Returns float64 ``[n]``, int64 ``[n]``
    and int64 ``[n, 2]``, the shift that takes the reference to the query; ties go to the smaller shift.
    Raises ValueError for images that are not larger than the shift.
    """
    if queries.ndim != 4 or pixels < 0 or min(queries.shape[2:]) <= pixels:
        raise ValueError(
            f"images [n, C, H, W] larger than {pixels} pixels are needed, not {tuple(queries.shape)}"
        )
    best = torch.full((len(queries),), torch.inf, dtype=torch.float64)
    index = torch.zeros(len(queries), dtype=torch.int64)
    shift = torch.zeros(len(queries), 2, dtype=torch.int64)
    for down, right in _shifts(pixels):
        ours, theirs = _overlap(queries, down, right), _overlap(references, -down, -right)
        distances, found = nearest(ours, theirs, block_bytes)
        distances = distances * (queries[0].numel() / ours[0].numel()) ** 0.5
        nearer = distances < best
        best, index = torch.where(nearer, distances, best), torch.where(nearer, found, index)
        shift[nearer] = torch.tensor([down, right])
    return best, index, shift


def _shifts(pixels: int) -> list[tuple[int, int]]:
    steps = range(-pixels, pixels + 1)
    return sorted(((down, right) for down in steps for right in steps), key=lambda s: s[0] ** 2 + s[1] ** 2)


def _overlap(images: Tensor, down: int, right: int) -> Tensor:
    """What is left of images moved by so much within the frame, as a view."""
    height, width = images.shape[2:]
    rows = slice(max(down, 0), height + min(down, 0))
    return images[:, :, rows, max(right, 0) : width + min(right, 0)]


# Both ways


def _check(queries: Tensor, references: Tensor, k: int) -> None:
    for images, name in ((queries, "queries"), (references, "references")):
        if images.ndim < 2 or len(images) == 0:
            raise ValueError(f"the {name} are empty or not of shape [n, ...]: {tuple(images.shape)}")
    ours, theirs = queries[0].numel(), references[0].numel()
    if ours != theirs:
        raise ValueError(f"queries have {ours} values each and references {theirs}")
    if not 1 <= k <= len(references):
        raise ValueError(f"k lies between 1 and the number of references, {len(references)}; it is {k}")


_Engine = Callable[[Tensor, Tensor, int, int], tuple[Tensor, Tensor]]


def _engine(queries: Tensor, references: Tensor) -> _Engine:
    bytes_alone = queries.dtype == references.dtype == torch.uint8
    short = queries[0].numel() < LONGEST_INTEGER and len(references) < 1 << _INDEX_BITS
    on_cpu = queries.device.type == references.device.type == "cpu"
    return _by_integers if bytes_alone and short and on_cpu and _int8_pays() else _by_floats


def _blocks(references: Tensor, rows: int) -> Iterator[tuple[int, Tensor]]:
    """Blocks ``[rows, d]`` of the references with the index of their first."""
    for start in range(0, len(references), rows):
        yield start, references[start : start + rows].detach().flatten(1)


def _block_rows(block_bytes: int, queries: int, value_bytes: int) -> tuple[int, int]:
    """Queries and references of one block of scores: whole groups, scores and copies within the bound.

    value_bytes: what the copies of one reference take.
    """
    queries = max(min(QUERY_BLOCK, queries, block_bytes // (16 * GROUP)), 1)
    # A score in four bytes, and as much again for the selection.
    return queries, max(block_bytes // (8 * queries + value_bytes) // GROUP, 1) * GROUP


# By integers


@cache
def _int8_pays() -> bool:
    """Whether this machine's int8 products are exact and faster than float32's, as a small trial tells."""
    if not _int8_is_exact():
        return False
    a, b = _trial()
    x, y = a.float(), b.float()
    return _seconds(lambda: torch._int_mm(a, b.T)) < _seconds(lambda: x @ y.T)


def _int8_is_exact() -> bool:
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


def _by_integers(queries: Tensor, references: Tensor, k: int, block_bytes: int) -> tuple[Tensor, Tensor]:
    """Squared distances and indices ``[n, k]`` of uint8 images, in exact integer arithmetic."""
    points = _signed(queries.detach().flatten(1))
    lengths = _squared_lengths(points).to(torch.int64)
    # A reference's int8 copy and, while its length is taken, a float32 one.
    query_rows, rows = _block_rows(block_bytes, len(points), 6 * points.shape[1])
    best = torch.full((len(points), k), _WORST << _INDEX_BITS, dtype=torch.int64)
    for start, block in _blocks(references, rows):
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


# By floats


def _by_floats(queries: Tensor, references: Tensor, k: int, block_bytes: int) -> tuple[Tensor, Tensor]:
    """Squared distances and indices ``[n, k]``: products propose, float64 differences decide."""
    search = _FloatSearch(references, k, block_bytes)
    queries = queries.detach().flatten(1)
    n, device = len(queries), queries.device
    squared = torch.zeros(n, k, dtype=torch.float64, device=device)
    indices = torch.zeros(n, k, dtype=torch.int64, device=device)
    open_rows = torch.arange(n, device=device)
    for spare in SPARE:
        found, index, certain = search.propose(queries[open_rows], min(k + spare, len(references)))
        squared[open_rows], indices[open_rows] = found, index
        open_rows = open_rows[~certain]
        if len(open_rows) == 0:
            return squared, indices
    for rows in open_rows.split(QUERY_BLOCK):
        squared[rows], indices[rows] = search.brute_force(queries[rows])
    return squared, indices


class _FloatSearch:
    """Nearest references of blocks of queries, by products about the references' mean."""

    def __init__(self, references: Tensor, k: int, block_bytes: int) -> None:
        self.references, self.k, self.block_bytes = references, k, block_bytes
        self.width = references[0].numel()
        # The products are trusted to float32 rounding, which a lowered matmul precision does not keep.
        trusted = torch.get_float32_matmul_precision() == "highest"
        self.dtype = torch.float32 if trusted else torch.float64
        self.center = torch.zeros(self.width, dtype=torch.float64, device=references.device)
        for _, block in _blocks(references, self._rows(1)[1]):
            self.center += block.sum(0, dtype=torch.float64)
        self.center /= len(references)
        if not bool(self.center.isfinite().all()):
            raise ValueError("the references have values that are not finite, so that they have no distances")

    def _rows(self, queries: int) -> tuple[int, int]:
        # A block of references is held in float64 twice over, and twice in the product's type.
        wide = 2 if self.dtype == torch.float64 else 1
        return _block_rows(self.block_bytes // wide, queries, 24 * self.width)

    def propose(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Best k of `count` candidates per query, and whether no other reference can be nearer or tie."""
        points = torch.cat(
            [(part.to(torch.float64) - self.center).to(self.dtype) for part in queries.split(QUERY_BLOCK)]
        )
        if not bool(points.isfinite().all()):
            raise ValueError("the queries have values that are not finite, so that they have no distances")
        scores, candidates, longest = self._candidates(points, count)
        squared, index = self._rerank(queries, candidates)
        if count == len(self.references):
            return squared, index, torch.ones_like(index[:, 0], dtype=torch.bool)
        lengths = torch.cat([part.to(torch.float64).square().sum(1) for part in points.split(QUERY_BLOCK)])
        # |fl(q.r) - q.r| <= d u |q||r| <= d u (|q| + |r|)^2 / 4, and the score holds it twice; the rest
        # covers the roundings of the centred inputs, the lengths and the difference.
        unit = torch.finfo(self.dtype).eps / 2
        slack = unit * (self.width / 2 + 8) * (lengths.sqrt() + longest).square()
        worst = scores.amax(1).to(torch.float64)
        return squared, index, squared[:, -1] < worst + lengths - slack

    def _candidates(self, points: Tensor, count: int) -> tuple[Tensor, Tensor, float]:
        """The `count` lowest scores |r|^2 - 2 q.r per query with their indices, and the largest |r|."""
        n, device = len(points), points.device
        scores = torch.full((n, count), torch.inf, dtype=self.dtype, device=device)
        indices = torch.zeros(n, count, dtype=torch.int64, device=device)
        longest = 0.0
        query_rows, rows = self._rows(n)
        for start, block in _blocks(self.references, rows):
            block = block.to(torch.float64) - self.center
            lengths = block.square().sum(1)
            longest = max(longest, float(lengths.max().sqrt()))
            # Whole groups: what fills them up is infinitely far.
            missing = -len(block) % GROUP
            lengths = torch.nn.functional.pad(lengths.to(self.dtype), (0, missing), value=torch.inf)
            turned = torch.nn.functional.pad(block.to(self.dtype), (0, 0, 0, missing)).T
            for low in range(0, n, query_rows):
                part = slice(low, low + query_rows)
                score = torch.addmm(lengths, points[part], turned, alpha=-2.0)
                kept = _lowest(score, count)
                both = torch.cat([scores[part], kept[0]], 1)
                scores[part], order = both.topk(count, dim=1, largest=False)
                indices[part] = torch.cat([indices[part], kept[1] + start], 1).gather(1, order)
        return scores, indices, longest

    def _rerank(self, queries: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The k smallest float64 squared distances among candidates ``[b, c]``, lowest index on ties."""
        indices = indices.sort(1).values
        rows = max(self.block_bytes // (24 * indices.shape[1] * self.width), 1)
        squared = torch.cat(
            [self._differences(q, i) for q, i in zip(queries.split(rows), indices.split(rows), strict=True)]
        )
        squared, order = squared.sort(dim=1, stable=True)
        return squared[:, : self.k], indices.gather(1, order[:, : self.k])

    def _differences(self, queries: Tensor, indices: Tensor) -> Tensor:
        found = self.references[indices].flatten(2).to(torch.float64)
        return found.sub_(queries.to(torch.float64)[:, None]).square_().sum(2)

    def brute_force(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """All squared distances in float64, without the product form that cancels."""
        n, device = len(queries), queries.device
        best = torch.full((n, self.k), torch.inf, dtype=torch.float64, device=device)
        index = torch.zeros(n, self.k, dtype=torch.int64, device=device)
        rows = self._rows(n)[1]
        for start, block in _blocks(self.references, rows):
            wide = block.to(torch.float64)
            found = torch.stack([(wide - query).square_().sum(1) for query in queries.to(torch.float64)])
            places = torch.arange(start, start + len(block), device=device).expand(n, -1)
            both, order = torch.cat([best, found], 1).sort(dim=1, stable=True)
            best = both[:, : self.k]
            index = torch.cat([index, places], 1).gather(1, order[:, : self.k])
        return best, index


def _lowest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` lowest of ``scores [b, g GROUP]`` (all, if there are fewer) and their columns.

    Only the `count` groups with the lowest minima can hold one of them.
    """
    grouped = scores.view(len(scores), -1, GROUP)
    groups = grouped.amin(2).topk(min(count, grouped.shape[1]), dim=1, largest=False).indices
    members = grouped.gather(1, groups[:, :, None].expand(-1, -1, GROUP)).flatten(1)
    low, order = members.topk(min(count, members.shape[1]), dim=1, largest=False)
    return low, groups.gather(1, order // GROUP) * GROUP + order % GROUP
