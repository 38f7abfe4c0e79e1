"""Folders of image files: which files are read, and how many of what kind they were."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.errors import DataError
from dgmbench.evaluation.score.pictures import DONE, Picture, read_picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pbm", ".pgm", ".ppm", ".pnm")
# Below it, 16-bit files hold the 12 bits of a camera or fewer.
FEWEST_16_BIT = 1 << 12


@dataclass
class Listing:
    """The image files of a folder and its sub-folders by path, and what else there is."""

    images: list[Path] = field(default_factory=list)
    hidden: int = 0
    others: list[str] = field(default_factory=list)

    def skipped(self) -> list[str]:
        """What was left out, a sentence each."""
        found = []
        if self.hidden:
            found.append(f"{self.hidden:,} hidden files or folders (their names begin with a dot) skipped")
        if self.others:
            names = ", ".join(self.others[:3]) + (", ..." if len(self.others) > 3 else "")
            found.append(f"{len(self.others):,} other files skipped ({names})")
        return found


def read_folder(
    folder: Path, shape: tuple[int, int, int], background: str
) -> tuple[np.ndarray[Any, Any], list[str]]:
    """All images of a folder and its sub-folders, and a sentence on each decision, with its count.

    Returns bytes [n, C, H, W], or float32 in [0, 1] if some files have 16 bits.
    Raises DataError for a file that cannot be read as an image of `shape` (C, H, W), or fewer than two.
    """
    listing = list_images(folder)
    with warnings.catch_warnings():
        # Of sizes and broken tags: what a file cannot be read for is an error below.
        warnings.simplefilter("ignore")
        pictures = [read_picture(file, shape, background) for file in listing.images]
    if len(pictures) < 2:
        found = "only one image file" if pictures else f"no image files ({', '.join(SUFFIXES)})"
        said = [*_done(pictures, background), *listing.skipped()]
        also = f" ({'; '.join(said)})" if said else ""
        raise DataError(f"--images {folder} holds {found}; two or more are needed{also}")
    decisions = [_kinds(pictures, listing), *_done(pictures, background), *listing.skipped()]
    return _stacked([picture.pixels for picture in pictures], folder), decisions


def list_images(folder: Path) -> Listing:
    """Image files by suffix, in order of path; links to folders are followed, each folder is read once.

    Raises OSError for a folder that cannot be read.
    """
    listing = Listing()
    _add(folder, listing, set())
    return listing


def _add(folder: Path, listing: Listing, seen: set[str]) -> None:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            listing.hidden += 1
        elif entry.is_dir():
            _add(entry, listing, seen)
        elif entry.suffix.lower() in SUFFIXES:
            listing.images.append(entry)
        else:
            listing.others.append(entry.name)


def _kinds(pictures: list[Picture], listing: Listing) -> str:
    counts = Counter(picture.kind for picture in pictures)
    folders = len({file.parent for file in listing.images})
    where = f" in {folders:,} folders" if folders > 1 else ""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common())
    mixed = "; they are of several kinds: are all of them samples?" if len(counts) > 1 else ""
    return f"{len(pictures):,} image files{where}: {kinds}{mixed}"


def _done(pictures: list[Picture], background: str) -> list[str]:
    counts = Counter(what for picture in pictures for what in picture.done)
    return [
        f"{counts[what]:,} of {len(pictures):,} files {words.format(background=background)}"
        for what, words in DONE.items()
        if counts[what]
    ]


def _stacked(pixels: list[np.ndarray[Any, Any]], folder: Path) -> np.ndarray[Any, Any]:
    deep = [image for image in pixels if image.dtype == np.uint16]
    if not deep:
        return np.stack(pixels)
    top = max(int(image.max()) for image in deep)
    if 0 < top < FEWEST_16_BIT:
        raise DataError(f"--images {folder} holds {len(deep):,} files of 16 bits with values up to {top} "
                        "only; spread them over 0..65535 first")  # fmt: skip
    return np.stack([image / np.float32(np.iinfo(image.dtype).max) for image in pixels])
