"""Draws beside their mean images, from `means-<seed>.npz` of the evaluation.

Models with observation noise alone have them: a reader who sees only noisy draws concludes that such a model
is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dgmbench.files import read_json
from dgmbench.reporting.figures import pictures
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.figures.samples import side_by_side
from dgmbench.reporting.run_files import Run, first_files, named_arrays

ROLE = "means"


def mean_images(runs: Sequence[Run], results_root: Path, folder: Path) -> list[Picture]:
    """One picture per model with observation noise: its draws on the left, their mean images on the right."""
    drawn = []
    dataset, view = runs[0].dataset, runs[0].view
    for model, path in first_files(runs, results_root, "means", "json").items():
        words = read_json(path)
        arrays = named_arrays(path.with_suffix(".npz"), *(sheet["role"] for sheet in words))
        # Names as short as the sheets are wide; the heading of the page and the caption have the rest.
        headings = {"draws": model, "means": "mean images"}
        sheets = {
            headings[sheet["role"]]: pictures.sample_sheet(arrays[sheet["role"]], sheet["levels"])
            for sheet in words
        }
        target = folder / f"{dataset}-{view}-means-{model}.png"
        side_by_side(sheets, target)
        said = " ".join(f"{sheet['title']}: {_lowered(sheet['caption'])}" for sheet in words)
        caption = f"{said} What they differ by is noise to the model: a likelihood needs it, an eye does not."
        alt = f"{model}, {dataset}, {view} view. {said}"
        drawn.append(Picture(target, ROLE, dataset, view, model, alt, model, caption))
    return drawn


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
