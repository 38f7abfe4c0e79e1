"""Splits: what one is, how examples are dealt to them, and how a limit shortens them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dgmbench.data import streams

SPLITS = ("train", "valid", "test")
UintArray = np.ndarray[Any, np.dtype[np.uint8]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


Sentence = Sequence[str]


@dataclass(frozen=True)
class Split:
    """Examples, and their labels int64 [n] (None where there are none).

    The examples of a data set of images are uint8 [n, C, H, W], levels 0..L-1; those of a data set of tokens
    are n sentences, each a sequence of words.
    """

    examples: UintArray | Sequence[Sentence]
    labels: IntArray | None = None

    @property
    def images(self) -> UintArray:
        """The examples of a data set of images; `TypeError` for others."""
        if not isinstance(self.examples, np.ndarray):
            raise TypeError("this split holds sentences, not images")
        return self.examples

    @property
    def sentences(self) -> Sequence[Sentence]:
        """The examples of a data set of sentences; `TypeError` for others."""
        if isinstance(self.examples, np.ndarray):
            raise TypeError("this split holds images, not sentences")
        return self.examples

    def first(self, n: int) -> Split:
        """The first n examples."""
        return Split(self.examples[:n], None if self.labels is None else self.labels[:n])


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


def dealt(n: int, sizes: dict[str, int], generator: np.random.Generator) -> dict[str, IntArray]:
    """Indices 0..n-1 of each split at random, in shuffled order; the split `train` takes what is left.

    Raises:
        ValueError: nothing is left to train on.
    """
    held_out = sum(sizes.values())
    if held_out >= n:
        raise ValueError(f"{held_out} of {n} examples would be held out")
    order = streams.permutation(generator, n)
    parts, start = {}, n - held_out
    for split, size in sizes.items():
        parts[split] = order[start : start + size]
        start += size
    return {"train": order[: n - held_out], **parts}


def limited(splits: dict[str, Split], limit: int | None) -> dict[str, Split]:
    """The first `limit` training examples, and as large a part of the other splits (one example at least)."""
    whole = len(splits["train"].examples)
    if limit is None or limit >= whole:
        return splits
    counts = {split: max(1, round(len(part.examples) * limit / whole)) for split, part in splits.items()}
    return {split: part.first(counts[split]) for split, part in splits.items()}
