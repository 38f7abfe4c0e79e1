"""Distance of samples to their nearest training images, against that of unseen real images.

A heuristic: it finds copies, but is blind to a copy shifted by one pixel (Theis et al. 2016, section 3.3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Candidates kept per query; the second round is for queries with more near-ties than that.
CANDIDATES = (4, 64)
QUERY_BLOCK = 1024


@dataclass(frozen=True)
class NeighbourReport:
    """How near samples are to the training set, in units of how near unseen real images are.

    ratio: median generated distance / median held-out distance; below 1, samples are closer to training
        images than unseen real images are. 0 for copies.
    std_error: bootstrap over both sets of distances; None where a resample has no defined ratio.
    distances: float64 [n] and [n'], L2 in pixel units; indices: int64, nearest training image of each.
    """

    ratio: float
    std_error: float | None
    generated_distances: Tensor
    heldout_distances: Tensor
    generated_indices: Tensor
    heldout_indices: Tensor


def nearest(queries: Tensor, references: Tensor, block_bytes: int = 1 << 26) -> tuple[Tensor, Tensor]:
    """Distance (float64 [n], L2) to, and index (int64 [n]) of, the nearest reference of each query.

    queries: [n, ...] and references: [m, ...], flattened to d values; integer images are taken as they are.
    Exact, not approximate: float32 products propose candidates, float64 differences decide among them, and
    where the rounding bound of the products cannot rule out every other reference the query is searched
    again. Exact copies have distance 0. Ties go to the lowest index. About `block_bytes` of memory beyond
    the inputs, whatever n and m. Raises ValueError on empty or unequal inputs.
    """
    queries, references = _flat(queries, "queries"), _flat(references, "references")
    if queries.shape[1] != references.shape[1]:
        raise ValueError(f"queries have {queries.shape[1]} values each and references {references.shape[1]}")
    search = _Search(references, block_bytes)
    parts = [search.run(block) for block in queries.split(search.query_rows)]
    return torch.cat([part[0] for part in parts]).cpu(), torch.cat([part[1] for part in parts]).cpu()


def nn_distance_ratio(
    generated: Tensor,
    heldout: Tensor,
    train: Tensor,
    rng: np.random.Generator,
    n_resamples: int = 200,
) -> NeighbourReport:
    """Median distance to training of generated images over that of held-out images.

    All [n, ...] in one scale, of one view. The standard error is a bootstrap from `rng`; it treats the
    training set as fixed. Raises ValueError if at least half of the held-out images are in the training
    set, since the ratio then divides by zero.
    """
    ours, ours_index = nearest(generated, train)
    theirs, theirs_index = nearest(heldout, train)
    scale = float(np.median(theirs.numpy()))
    if scale == 0.0:
        raise ValueError(
            "half of the held-out images are in the training set; the distance ratio has no scale"
        )
    ratio = float(np.median(ours.numpy())) / scale
    std_error = _ratio_std_error(ours.numpy(), theirs.numpy(), rng, n_resamples)
    return NeighbourReport(ratio, std_error, ours, theirs, ours_index, theirs_index)


def _ratio_std_error(
    ours: np.ndarray, theirs: np.ndarray, rng: np.random.Generator, n_resamples: int
) -> float | None:
    if n_resamples < 2 or len(ours) < 2 or len(theirs) < 2:
        return None
    ratios = []
    for _ in range(n_resamples):
        scale = np.median(rng.choice(theirs, len(theirs)))
        if scale == 0.0:
            return None
        ratios.append(np.median(rng.choice(ours, len(ours))) / scale)
    return float(np.std(ratios, ddof=1))


class _Search:
    """Exact nearest references of blocks of queries, within a bound on memory."""

    def __init__(self, references: Tensor, block_bytes: int) -> None:
        self.references = references
        self.width = references.shape[1]
        # The products are trusted to float32 rounding, which a lowered matmul precision does not keep.
        trusted = torch.get_float32_matmul_precision() == "highest"
        self.dtype = torch.float32 if trusted else torch.float64
        size = torch.finfo(self.dtype).bits // 8
        self.block_values = max(block_bytes // 8, 1)
        self.query_rows = min(QUERY_BLOCK, max(self.block_values // (4 * self.width), 1))
        # A block of references is held in float64 three times over, and once in the product's type.
        self.rows = max(block_bytes // (size * (self.query_rows + 7 * self.width)), 1)
        self.center = sum(
            (block.sum(0, dtype=torch.float64) for block in references.split(self.rows)),
            start=torch.zeros(self.width, dtype=torch.float64, device=references.device),
        ) / len(references)

    def run(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Distances [b] and indices [b] of the nearest references."""
        n, device = len(queries), queries.device
        distances = torch.zeros(n, dtype=torch.float64, device=device)
        indices = torch.zeros(n, dtype=torch.int64, device=device)
        open_rows = torch.arange(n, device=device)
        for count in CANDIDATES:
            found, index, certain = self._propose(queries[open_rows], min(count, len(self.references)))
            distances[open_rows], indices[open_rows] = found, index
            open_rows = open_rows[~certain]
            if len(open_rows) == 0:
                return distances, indices
        distances[open_rows], indices[open_rows] = self._brute_force(queries[open_rows])
        return distances, indices

    def _propose(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Best of `count` candidates per query, and whether no other reference can be nearer or tie."""
        points = (queries.to(torch.float64) - self.center).to(self.dtype)
        scores, indices, longest = self._candidates(points, count)
        squared, index = self._rerank(queries, indices)
        lengths = points.to(torch.float64).square().sum(1)
        if count == len(self.references):
            return squared.sqrt(), index, torch.ones_like(index, dtype=torch.bool)
        # |fl(q.r) - q.r| <= d u |q||r| <= d u (|q| + |r|)^2 / 4, and the score holds it twice; the rest
        # covers the roundings of the centred inputs, the lengths and the difference.
        unit = torch.finfo(self.dtype).eps / 2
        slack = unit * (self.width / 2 + 8) * (lengths.sqrt() + longest).square()
        certain = squared < scores[:, -1].to(torch.float64) + lengths - slack
        return squared.sqrt(), index, certain

    def _candidates(self, points: Tensor, count: int) -> tuple[Tensor, Tensor, float]:
        """The `count` lowest scores |r|^2 - 2 q.r per query with their indices, and the largest |r|."""
        scores = torch.empty(len(points), 0, dtype=self.dtype, device=points.device)
        indices = torch.empty(len(points), 0, dtype=torch.int64, device=points.device)
        longest = 0.0
        for start in range(0, len(self.references), self.rows):
            block = self.references[start : start + self.rows].to(torch.float64) - self.center
            lengths = block.square().sum(1)
            longest = max(longest, float(lengths.max().sqrt()))
            score = torch.addmm(lengths.to(self.dtype), points, block.to(self.dtype).T, alpha=-2.0)
            low, place = score.topk(min(count, len(block)), dim=1, largest=False)
            scores, indices = torch.cat([scores, low], 1), torch.cat([indices, place + start], 1)
            scores, order = scores.topk(min(count, scores.shape[1]), dim=1, largest=False)
            indices = indices.gather(1, order)
        return scores, indices, longest

    def _rerank(self, queries: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Smallest float64 squared distance among the candidates [b, k] and its index (lowest on ties)."""
        indices = indices.sort(1).values
        rows = max(self.block_values // (2 * indices.shape[1] * self.width), 1)
        squared = torch.cat(
            [
                (self.references[index].to(torch.float64) - query.to(torch.float64)[:, None]).square_().sum(2)
                for query, index in zip(queries.split(rows), indices.split(rows), strict=True)
            ]
        )
        best = squared.argmin(1, keepdim=True)
        return squared.gather(1, best)[:, 0], indices.gather(1, best)[:, 0]

    def _brute_force(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """All distances in float64, without the product form that cancels."""
        points = queries.to(torch.float64)
        best = torch.full((len(points),), math.inf, dtype=torch.float64, device=points.device)
        index = torch.zeros(len(points), dtype=torch.int64, device=points.device)
        for start in range(0, len(self.references), self.rows):
            block = self.references[start : start + self.rows].to(torch.float64)
            found = torch.cdist(points, block, compute_mode="donot_use_mm_for_euclid_dist")
            low, place = found.min(1)
            nearer = low < best
            best, index = torch.where(nearer, low, best), torch.where(nearer, place + start, index)
        return best, index


def _flat(images: Tensor, name: str) -> Tensor:
    if images.ndim < 2 or len(images) == 0:
        raise ValueError(f"the {name} are empty or not of shape [n, ...]: {tuple(images.shape)}")
    return images.detach().flatten(1)
