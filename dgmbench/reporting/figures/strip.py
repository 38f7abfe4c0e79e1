"""Samples of every family side by side, test data first: one low strip for the first screen of a page."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.claims.evidence import representatives
from dgmbench.reporting.answer.aspects import family_words
from dgmbench.reporting.figures import pictures
from dgmbench.reporting.figures.canvas import DPI, Picture, canvas, save
from dgmbench.reporting.run_files import Run, first_finished, held_out_images, levels_of

ROLE, REAL = "strip", "test data"
# Pixels: of the whole, of the names above the images (two lines), and between two families.
WIDTH, HEIGHT, NAMES, GAP = 1200, 140, 30, 6
# Pixels that a character of a name takes.
CHARACTER = 6.2
# Images in a row and in a column of a family, where they are small enough.
SIDE = 3


def strip(runs: Sequence[Run], manifest: Mapping[str, Any], data_root: Path, folder: Path) -> list[Picture]:
    """The picture of one data set and view; none without samples."""
    dataset, view = runs[0].dataset, runs[0].view
    shown = shown_of(runs)
    if not shown:
        return []
    images = {family: np.asarray(samples[:100]) for family, (_, samples) in shown.items()}
    real = held_out_images(data_root, manifest, view, 100)
    if real is not None:
        images = {REAL: real} | images
    path = folder / f"{dataset}-{view}-strip.png"
    _draw(images, levels_of(manifest, view), path)
    entries = ", ".join(f"{family_words(family)} ({run.model})" for family, (run, _) in shown.items())
    title = "Samples of every family"
    first = "" if real is None else f"{REAL}, then "
    alt = f"{dataset}, {view} view, from left to right: {first}samples of {entries}"
    caption = (
        f"The first samples of each family's first model, unselected and as they are scored; {REAL} on the "
        "left. A model with observation noise shows it here; its mean images are among the pictures."
    )
    return [Picture(path, ROLE, dataset, view, title, alt, caption=caption)]


def shown_of(runs: Sequence[Run]) -> dict[str, tuple[Run, np.ndarray]]:
    """By family, its representative's first finished run with samples, in the order of the runs.

    No variant takes the place of a representative without samples: the answer has no number of it either.
    """
    families = {run.model: str(run.info["settings"].get("family", run.model)) for run in runs}
    entries = representatives(families, families)
    found = {}
    for run in first_finished(runs):
        samples = run.samples()
        if entries[families[run.model]] == run.model and samples is not None and len(samples):
            found[families[run.model]] = (run, samples)
    return found


def label(name: str, width: int) -> str:
    """What the answer calls a family, in two lines of so many characters; else its short name."""
    words = name if name == REAL else family_words(name)
    lines = textwrap.wrap(words, width, break_long_words=False)
    if len(lines) <= 2 and all(len(line) <= width for line in lines):
        return "\n".join(lines)
    return textwrap.fill(name.replace("_", " "), width, max_lines=2, placeholder="…")


def sheet_of(images: np.ndarray, levels: int, width: int, height: int) -> np.ndarray:
    """As many whole images as fit, every pixel of theirs a whole number of pixels wide: `[h, w, 3]`.

    One image, cut nowhere, where not even one fits.
    """
    tall, wide = images.shape[2] + pictures.GAP, images.shape[3] + pictures.GAP
    factor = max(1, min(height // (SIDE * tall + pictures.GAP), width // (SIDE * wide + pictures.GAP)))
    columns = max(1, (width // factor - pictures.GAP) // wide)
    rows = max(1, (height // factor - pictures.GAP) // tall)
    tiled = pictures.tile(pictures.to_bytes(images[: rows * columns], levels), columns)
    return tiled.repeat(factor, axis=0).repeat(factor, axis=1)


def _draw(images: Mapping[str, np.ndarray], levels: int, path: Path) -> None:
    each = (WIDTH - GAP * (len(images) - 1)) // len(images)
    sheets = {name: sheet_of(found, levels, each, HEIGHT - NAMES) for name, found in images.items()}
    wide = max(each, *(sheet.shape[1] for sheet in sheets.values()))
    width = len(sheets) * wide + GAP * (len(sheets) - 1)
    height = NAMES + max(sheet.shape[0] for sheet in sheets.values())
    with canvas(width / DPI, height / DPI) as figure:
        for place, (name, sheet) in enumerate(sheets.items()):
            left = place * (wide + GAP)
            figure.figimage(sheet, xo=left, yo=height - NAMES - sheet.shape[0])
            said = label(name, max(6, int(wide / CHARACTER)))
            weight = "bold" if name == REAL else "normal"
            at = left / width, 1 - (NAMES - 4) / height
            figure.text(*at, said, fontsize=8, va="bottom", linespacing=1.0, weight=weight)
        save(figure, path, tight=False)
