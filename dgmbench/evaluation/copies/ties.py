"""All nearest neighbours of an image: discrete images often have several at the same distance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dgmbench.evaluation.copies.neighbour_search import k_nearest

# References asked for at first, and by how much more where all of them tie.
FIRST, MORE = 4, 8


@dataclass(frozen=True)
class Neighbours:
    """The nearest references of n queries, ties included.

    distances: float64 ``[n]``. owners, indices: int64 ``[p]``, p >= n: query and reference of every pair at
    that distance, in ascending order of both.
    """

    distances: Tensor
    owners: Tensor
    indices: Tensor

    @property
    def first(self) -> Tensor:
        """The lowest of each query's nearest references, int64 ``[n]``."""
        counts = torch.bincount(self.owners, minlength=len(self.distances))
        return self.indices[counts.cumsum(0) - counts]

    def mean(self, values: Tensor) -> Tensor:
        """Mean over each query's pairs of ``values [p]``: float64 ``[n]``."""
        sums = torch.zeros(len(self.distances), dtype=torch.float64)
        sums.index_add_(0, self.owners, values.double())
        return sums / torch.bincount(self.owners, minlength=len(sums))


def all_nearest(queries: Tensor, references: Tensor) -> Neighbours:
    """Every nearest reference ``[m, ...]`` of each query ``[n, ...]``; exact, as `k_nearest`.

    More references are searched for until the farthest found is not tied. Raises ValueError on empty or
    unequal inputs.
    """
    rows = torch.arange(len(queries))
    nearest = torch.zeros(len(queries), dtype=torch.float64)
    pairs: list[Tensor] = []
    k = min(FIRST, len(references))
    while True:
        distances, indices = k_nearest(queries[rows], references, k)
        nearest[rows] = distances[:, 0]
        tied = distances == distances[:, :1]
        ended = ~tied.all(1) if k < len(references) else torch.ones(len(rows), dtype=torch.bool)
        query, place = torch.nonzero(tied & ended[:, None], as_tuple=True)
        pairs.append(torch.stack([rows[query], indices[query, place]]))
        rows = rows[~ended]
        if len(rows) == 0:
            break
        k = min(MORE * k, len(references))
    owners, found = torch.cat(pairs, 1)
    order = (owners * len(references) + found).argsort()
    return Neighbours(nearest, owners[order], found[order])
