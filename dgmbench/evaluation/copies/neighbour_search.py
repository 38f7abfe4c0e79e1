"""Exact nearest neighbours in Euclidean distance, by blocked matrix products within a bound on memory.

Two searches give the same answer: images of uint8 take `integer_search`, anything else `float_search`.
The references are read once for every `QUERIES` queries, block by block; a tensor over a memory-mapped array
is never in memory as a whole.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dgmbench.evaluation.copies.float_search import by_floats
from dgmbench.evaluation.copies.integer_search import by_integers, use_integers

# Queries per pass over the references.
QUERIES = 16384


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
    engine = by_integers if use_integers(queries, references) else by_floats
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


def _check(queries: Tensor, references: Tensor, k: int) -> None:
    for images, name in ((queries, "queries"), (references, "references")):
        if images.ndim < 2 or len(images) == 0:
            raise ValueError(f"the {name} are empty or not of shape [n, ...]: {tuple(images.shape)}")
    ours, theirs = queries[0].numel(), references[0].numel()
    if ours != theirs:
        raise ValueError(f"queries have {ours} values each and references {theirs}")
    if not 1 <= k <= len(references):
        raise ValueError(f"k lies between 1 and the number of references, {len(references)}; it is {k}")
