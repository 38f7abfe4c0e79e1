"""Sheets of decoded images: what a latent space holds, how masked images are
completed, and what is drawn given a condition.

Reads what the evaluation left in ``results/<dataset>/<model>/``: `latent-<seed>.npz` with the words for it in
`latent-<seed>.json`; `completion-<seed>`, `conditional-<seed>` and `style-<seed>` likewise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.files import read_json
from dgmbench.reporting.figures import pictures
from dgmbench.reporting.figures.canvas import DPI, Picture, canvas, save
from dgmbench.reporting.run_files import Run, first_files, named_arrays

ROLE, COMPLETION_ROLE, CONDITIONAL_ROLE = "latents", "completions", "conditional"
# Width of a sheet's images in pixels, and of the paper around them: labels on the left, the rest elsewhere.
# Three sheets fit side by side into a page, with labels that can be read.
SHEET_WIDTH, LABEL_WIDTH, MARGIN = 380, 78, 14


def latent_sheets(runs: Sequence[Run], results_root: Path, folder: Path) -> list[Picture]:
    """One picture per model and sheet, in the order in which the evaluation lists them."""
    return _sheets(runs, results_root, folder, "latent", ROLE)


def completion_sheets(runs: Sequence[Run], results_root: Path, folder: Path) -> list[Picture]:
    """The same of masked images that models completed."""
    return _sheets(runs, results_root, folder, "completion", COMPLETION_ROLE)


def conditional_sheets(runs: Sequence[Run], results_root: Path, folder: Path) -> list[Picture]:
    """The same of samples drawn given a condition, a row for each, and of classes in several styles."""
    stems = ("conditional", "style")
    return [
        picture for stem in stems for picture in _sheets(runs, results_root, folder, stem, CONDITIONAL_ROLE)
    ]


def _sheets(runs: Sequence[Run], results_root: Path, folder: Path, stem: str, role: str) -> list[Picture]:
    drawn = []
    dataset, view = runs[0].dataset, runs[0].view
    for model, path in first_files(runs, results_root, stem, "json").items():
        words = read_json(path)
        arrays = named_arrays(path.with_suffix(".npz"), *(sheet["role"] for sheet in words))
        for sheet in words:
            # A sheet may be called what its file is.
            name = "-".join(dict.fromkeys((stem, sheet["role"])))
            target = folder / f"{dataset}-{view}-{name}-{model}.png"
            draw_sheet(sheet, arrays[sheet["role"]], model, target)
            alt = f"{model}, {dataset}, {view} view: {sheet['title']}. {sheet['caption']}"
            alt += _spoken_labels(sheet)
            title = f"{model}: {sheet['title']}"
            drawn.append(Picture(target, role, dataset, view, title, alt, model, sheet["caption"]))
    return drawn


def _spoken_labels(sheet: Mapping[str, Any]) -> str:
    said = {name: list(dict.fromkeys(sheet.get(f"{name}_labels", ()))) for name in ("row", "column")}
    return "".join(f" {name.capitalize()}s: {', '.join(labels)}." for name, labels in said.items() if labels)


def draw_sheet(sheet: Mapping[str, Any], images: np.ndarray, model: str, path: Path) -> None:
    """Images `[rows * columns, C, H, W]` pixel by pixel, title above, labels around."""
    # White paper: gray would not part one face from the next.
    tiled = pictures.tile(pictures.to_bytes(images, sheet["levels"]), sheet["columns"], paper=255)
    shown = pictures.enlarge(tiled, SHEET_WIDTH)
    tall, wide = shown.shape[:2]
    left = LABEL_WIDTH if sheet.get("row_labels") else MARGIN
    above = 34 + 18 * bool(sheet.get("column_labels"))
    width = left + max(wide, SHEET_WIDTH) + MARGIN
    height = above + tall + MARGIN
    with canvas(width / DPI, height / DPI) as figure:
        figure.figimage(shown, xo=left, yo=height - above - tall)
        at = _Places(width, height)
        figure.text(*at(left, 20), f"{model}: {sheet['title']}", fontsize=11, weight="bold")
        for place, label in enumerate(sheet.get("row_labels", ())):
            middle = above + tall * (place + 0.5) / sheet["rows"]
            figure.text(*at(left - 6, middle), label, fontsize=8.5, ha="right", va="center")
        for place, label in enumerate(sheet.get("column_labels", ())):
            middle = left + wide * (place + 0.5) / sheet["columns"]
            figure.text(*at(middle, above - 6), label, fontsize=8.5, ha="center")
        save(figure, path, tight=False)
    _shrink(path)


def _shrink(path: Path) -> None:
    """Write a PNG again without transparency, and without colour where it has none: a third of the bytes."""
    from PIL import Image

    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    pictures.write_png(pixels, path)


class _Places:
    """Pixels from the upper left corner as a figure's fractions.

    Args:
        width: of the figure, in pixels.
        height: of the figure, in pixels.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height

    def __call__(self, right: float, down: float) -> tuple[float, float]:
        return right / self.width, 1 - down / self.height
