"""Pixel values of any type as intensities in [0, 1]; what their scale is, is never guessed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.errors import DataError

# What floats may lie outside [0, 1] by: rounding of a few operations in float32, or in a coarser type.
ROUNDING = 1e-6
# Whole numbers below it are taken for levels rather than for bytes of very dark images.
FEWEST_BYTES = 32
# Bits that files have room for and images do not use halve every value, at least.
DIM = 0.5


def intensities(array: np.ndarray[Any, Any], levels: int | None, what: str) -> tuple[Tensor, list[str]]:
    """Images as float32 in [0, 1], and a sentence if some values were outside by rounding.

    Args:
        array: [n, C, H, W] of booleans, floats in [0, 1] or, with `levels` = L, whole numbers 0..L-1;
            integers without `levels` are bytes.
        what: names the array in errors.
    Raises DataError for NaN, values outside their range, and integers so small that they may be levels.
    """
    if array.dtype.kind == "f" and levels is None:
        return _floats(array, what)
    low, high = array.min(), array.max()
    if array.dtype.kind == "f" and not np.array_equal(array, array.round()):
        raise DataError(f"{what}: --levels is for whole numbers, and there are others")
    if levels is None and 0 < high < FEWEST_BYTES and low >= 0 and array.dtype.kind != "b":
        raise DataError(
            f"{what} holds whole numbers up to {high}: are they bytes (--levels 256), or levels "
            f"(--levels {int(high) + 1}, say)?"
        )
    top = (2 if array.dtype.kind == "b" else levels or 256) - 1
    if low < 0 or high > top:
        raise DataError(f"{what} holds values from {low} to {high}, not 0..{top}")
    return _tensor(array) / top, []


def dim(images: Tensor) -> list[str]:
    """A sentence if no value of any image [n, C, H, W] in [0, 1] is above half of the top of the scale."""
    largest = float(images.max())
    if largest > DIM:
        return []
    return [
        f"the largest value of all images is {largest:.4g}, where the top of the scale is 1: unless the "
        "images are dark, they are on another scale, and so are all scores"
    ]


def _floats(array: np.ndarray[Any, Any], what: str) -> tuple[Tensor, list[str]]:
    low, high = array.min(), array.max()
    if np.isnan(low):
        raise DataError(f"{what} holds NaN: {int(np.isnan(array).sum()):,} of {array.size:,} values")
    slack = max(ROUNDING, 2 * float(np.finfo(array.dtype).eps))
    if low < -slack or high > 1 + slack:
        # str, unlike a format, gives all digits that distinguish the value from its neighbours.
        raise DataError(f"{what} holds values from {low!s} to {high!s}; floats lie in [0, 1] (within "
                        f"{slack:.2g}), whole numbers need --levels")  # fmt: skip
    outside = int(((array < 0) | (array > 1)).sum())
    said = f"{outside:,} values outside [0, 1] by at most {slack:.2g}, which is rounding, are set to 0 or 1"
    return _tensor(array).clamp_(0, 1), [said] if outside else []


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    # A copy always: the array may be a file mapped for reading alone.
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))
