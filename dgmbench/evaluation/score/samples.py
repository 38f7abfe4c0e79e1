"""Anybody's samples, from a folder of image files or a NumPy file, as intensities in [0, 1]."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from dgmbench.errors import DataError
from dgmbench.evaluation.score.arrays import read_array
from dgmbench.evaluation.score.folders import read_folder
from dgmbench.evaluation.score.scale import dim, intensities
from dgmbench.files import expanded

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Samples:
    """Images [n, C, H, W], float32 in [0, 1], and sentences on their reading.

    decisions: on each that it took. cautions: on what makes the scores doubtful.
    """

    images: Tensor
    decisions: list[str]
    cautions: list[str]


def read_samples(path: Path, shape: Shape, levels: int | None = None, background: str = "black") -> Samples:
    """Read a folder of image files, its sub-folders included, or a `.npy` file.

    Args:
        path: the folder, or an array [n, C, H, W], [n, H, W, C] or, with one channel, [n, H, W].
        shape: (C, H, W) that the images have to have: nothing is resized, which would change every score.
        levels: L of whole numbers 0..L-1; None: 256 unless the values look like fewer levels.
        background: black or white, behind transparent pixels.
    Raises DataError, saying what is wrong with which file.
    """
    path = expanded(path)
    try:
        if path.is_dir():
            array, decisions = read_folder(path, shape, background)
        elif path.suffix == ".npy" and path.is_file():
            array, decisions = read_array(path, shape), []
        else:
            raise DataError(f"--images {path}: neither a folder of images nor a .npy file")
        images, rounded = intensities(array, levels, f"--images {path}")
    except OSError as error:
        raise DataError(f"--images {path} cannot be read: {error}") from error
    return Samples(images, [*decisions, *rounded, *_copies(images)], dim(images))


def _copies(images: Tensor) -> list[str]:
    counts = Counter(image.numpy().tobytes() for image in images)
    repeated = len(images) - len(counts)
    return [f"{repeated:,} of {len(images):,} images are exact copies of others"] if repeated else []
