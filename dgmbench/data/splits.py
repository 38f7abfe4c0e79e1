"""Splits: what one is, how images are dealt to them, and how a limit shortens them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dgmbench.data import streams

SPLITS = ("train", "valid", "test")
UintArray = np.ndarray[Any, np.dtype[np.uint8]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Split:
    """Images uint8 [n, C, H, W] of levels 0..L-1, and their labels int64 [n] (None where there are none)."""

    images: UintArray
    labels: IntArray | None


def stratified(
    labels: IntArray, sizes: dict[str, int], generator: np.random.Generator
) -> dict[str, IntArray]:
    """Indices of each split, at random but with every class in its share, each split in shuffled order.

    `sizes` must add up to the number of labels; its first split takes what the others leave.
    """
    if sum(sizes.values()) != len(labels):
        raise ValueError(f"splits of {sum(sizes.values())} for {len(labels)} images")
    order = streams.permutation(generator, len(labels))
    first, *others = sizes
    owner = np.full(len(labels), first, dtype=object)
    counts = np.bincount(labels)
    quotas: dict[str, IntArray] = {}
    for split in others:
        quotas[split] = _shares(counts, sizes[split], counts - sum(quotas.values()))
    for label in range(len(counts)):
        members = order[labels[order] == label]
        start = 0
        for split in others:
            owner[members[start : start + quotas[split][label]]] = split
            start += quotas[split][label]
    return {split: order[owner[order] == split] for split in sizes}


def _shares(counts: IntArray, total: int, left: IntArray) -> IntArray:
    """Whole numbers adding up to `total`, in proportion to `counts` by largest remainder, at most `left`."""
    exact = counts * total  # in units of 1 / counts.sum(), so that there is no rounding
    shares: IntArray = np.minimum(exact // counts.sum(), left)
    remainders = np.where(shares < left, exact - shares * counts.sum(), -1)
    missing = total - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return shares


def limited(splits: dict[str, Split], limit: int | None) -> dict[str, Split]:
    """The first `limit` training images, and as large a part of the other splits (one image at least)."""
    whole = len(splits["train"].images)
    if limit is None or limit >= whole:
        return splits
    counts = {split: max(1, round(len(part.images) * limit / whole)) for split, part in splits.items()}
    return {
        split: Split(
            part.images[: counts[split]], None if part.labels is None else part.labels[: counts[split]]
        )
        for split, part in splits.items()
    }
