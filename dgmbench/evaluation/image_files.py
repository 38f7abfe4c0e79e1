"""Anybody's samples, from a folder of image files or a NumPy file, as intensities in [0, 1]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA")

Shape = tuple[int, int, int]


def read_images(path: Path, shape: Shape, levels: int | None = None) -> Tensor:
    """Images [n, C, H, W] as float32 in [0, 1] from a folder of files (in order of name) or a `.npy` file.

    Args:
        path: the folder, or an array [n, C, H, W], [n, H, W, C] or, with one channel, [n, H, W].
        shape: (C, H, W) that the images have to have: nothing is resized, which would change every score.
        levels: L of whole numbers 0..L-1 in an array; None: 256 unless the values look like fewer levels.
    Raises DataError, saying what is wrong with which file.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _read_folder(path, shape)
    if path.suffix != ".npy" or not path.is_file():
        raise DataError(f"--images {path}: neither a folder of images nor a .npy file")
    try:
        array = np.load(path, allow_pickle=False)
    # NumPy's reader of headers fails in many ways.
    except Exception as error:
        raise DataError(f"--images {path} cannot be read: {error}") from error
    if array.dtype.kind not in "buif":
        raise DataError(f"--images {path} holds {array.dtype}; images are real numbers")
    return _intensities(_channels_first(array, shape, path), levels, path)


def _read_folder(folder: Path, shape: Shape) -> Tensor:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if len(files) < 2:
        found = "only one image file" if files else f"no image files ({', '.join(SUFFIXES)})"
        raise DataError(f"--images {folder} holds {found}; two or more are needed")
    return torch.stack([_read_file(file, shape) for file in files])


def _read_file(file: Path, shape: Shape) -> Tensor:
    from PIL import Image

    channels, height, width = shape
    try:
        with Image.open(file) as image:
            if image.mode not in MODES:
                raise DataError(f"{file} has pixels of mode {image.mode}; 8-bit ones are read: {MODES}")
            if (image.width, image.height) != (width, height):
                raise DataError(
                    f"{file} has {image.height}x{image.width} pixels and the data set {height}x{width}; "
                    "resize the images first, as resizing is part of what is scored"
                )
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"), dtype=np.float32)
    except DataError:
        raise
    # Pillow's readers fail in many ways, some of them with a warning that is an error (huge images).
    except Exception as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    return torch.from_numpy(pixels / 255).reshape(height, width, channels).permute(2, 0, 1)


def _channels_first(array: np.ndarray[Any, Any], shape: Shape, path: Path) -> np.ndarray[Any, Any]:
    channels, height, width = shape
    if array.ndim == 3 and channels == 1:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[1:] == (height, width, channels) != shape:
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1:] != shape or len(array) < 2:
        raise DataError(f"--images {path} holds an array of shape {array.shape}; two or more images [n, "
                        f"{channels}, {height}, {width}] are needed")  # fmt: skip
    return array


def _intensities(array: np.ndarray[Any, Any], levels: int | None, path: Path) -> Tensor:
    if array.dtype.kind == "f" and levels is None:
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):
            what = "NaN" if np.isnan([low, high]).any() else f"values from {low:.4g} to {high:.4g}"
            raise DataError(
                f"--images {path} holds {what}; floats lie in [0, 1], whole numbers need --levels"
            )
        return torch.from_numpy(array.astype(np.float32))
    low, high = array.min(), array.max()
    if array.dtype.kind not in "bui" and not np.array_equal(array, array.round()):
        raise DataError(f"--images {path}: --levels is for whole numbers, and there are others")
    if levels is None and high < 32 and array.dtype.kind != "b":
        raise DataError(
            f"--images {path} holds whole numbers up to {high}: are they bytes (--levels 256), or levels "
            f"(--levels {int(high) + 1}, say)?"
        )
    top = (2 if array.dtype.kind == "b" else levels or 256) - 1
    if low < 0 or high > top:
        raise DataError(f"--images {path} holds values from {low} to {high}, not 0..{top}")
    return torch.from_numpy(array.astype(np.float32) / top)
