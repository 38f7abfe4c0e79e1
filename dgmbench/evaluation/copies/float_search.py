"""Exact search by float32 products, which propose candidates; float64 differences decide among them.

Where the rounding bound of the products cannot rule out all other references, the query is searched again.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dgmbench.evaluation.copies.search_blocks import GROUP, QUERY_BLOCK, block_rows, blocks

# Candidates beyond the k asked for; the second round is for queries with more near-ties than that.
SPARE = (4, 64)


def by_floats(queries: Tensor, references: Tensor, k: int, block_bytes: int) -> tuple[Tensor, Tensor]:
    """Squared distances and indices ``[n, k]``: products propose, float64 differences decide."""
    search = FloatSearch(references, k, block_bytes)
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


class FloatSearch:
    """Nearest references of blocks of queries, by products about the references' mean."""

    def __init__(self, references: Tensor, k: int, block_bytes: int) -> None:
        self.references, self.k, self.block_bytes = references, k, block_bytes
        self.width = references[0].numel()
        # The products are trusted to float32 rounding, which a lowered matmul precision does not keep.
        trusted = torch.get_float32_matmul_precision() == "highest"
        self.dtype = torch.float32 if trusted else torch.float64
        self.center = torch.zeros(self.width, dtype=torch.float64, device=references.device)
        for _, block in blocks(references, self._rows(1)[1]):
            self.center += block.sum(0, dtype=torch.float64)
        self.center /= len(references)
        if not bool(self.center.isfinite().all()):
            raise ValueError("the references have values that are not finite, so that they have no distances")

    def _rows(self, queries: int) -> tuple[int, int]:
        # A block of references is held in float64 twice over, and twice in the product's type.
        wide = 2 if self.dtype == torch.float64 else 1
        return block_rows(self.block_bytes // wide, queries, 24 * self.width)

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
        for start, block in blocks(self.references, rows):
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
        for start, block in blocks(self.references, rows):
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
