"""Arrays of samples in a NumPy file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.errors import DataError


def read_array(path: Path, shape: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """The array [n, C, H, W] of a `.npy` file, memory-mapped; `shape` is (C, H, W).

    Arrays [n, H, W, C] and, with one channel, [n, H, W] are taken too.
    Raises DataError for anything else, objects that would have to be unpickled included.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    # NumPy's reader of headers fails in many ways.
    except Exception as error:
        raise DataError(f"--images {path} cannot be read: {error}") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"--images {path} is an archive of arrays (.npz); save one of them with numpy.save")
    if array.dtype.kind not in "buif":
        raise DataError(f"--images {path} holds {array.dtype}; images are real numbers")
    return _channels_first(array, shape, path)


def _channels_first(
    array: np.ndarray[Any, Any], shape: tuple[int, int, int], path: Path
) -> np.ndarray[Any, Any]:
    channels, height, width = shape
    found = array.shape
    if array.ndim == 3 and channels == 1:
        array = array[:, None]
    elif array.ndim == 4 and found[1:] == (height, width, channels) != shape:
        array = array.transpose(0, 3, 1, 2)
    if array.shape[1:] != shape or len(array) < 2:
        raise DataError(f"--images {path} holds an array of shape {found}; two or more images [n, "
                        f"{channels}, {height}, {width}] are needed")  # fmt: skip
    return array
