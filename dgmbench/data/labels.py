"""Which training examples are labelled, where only some are."""

from __future__ import annotations

from typing import Any

import numpy as np

from dgmbench.data import streams
from dgmbench.data.splits import stratified
from dgmbench.errors import DataError

IntArray = np.ndarray[Any, np.dtype[np.int64]]


def labelled_rows(labels: IntArray, count: int, data_seed: int) -> IntArray:
    """`count` rows, int64 sorted, every class in its share: the same for every model and training seed.

    Args:
        labels: int64 ``[n]``.
        count: how many are labelled.
        data_seed: draws them.

    Raises:
        DataError: for more labels than there are examples.
    """
    if count > len(labels):
        raise DataError(f"labels: {count} is more than the {len(labels)} training examples")
    generator = streams.generator(data_seed, "labelled")
    sizes = {"unlabelled": len(labels) - count, "labelled": count}
    return np.sort(stratified(labels, sizes, generator)["labelled"])
