"""The classes of samples as the domain classifier sees them: a row of shares per model, test images first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dgmbench.reporting.figures.canvas import Picture, canvas, save
from dgmbench.reporting.run_files import Run, load_class_counts

ROLE, REAL = "classes", "test images"
_CAPTION = (
    "Percent of images that the domain classifier takes for each class, means over seeds; the first row is "
    "of test images. A class that a model hardly draws is a mode that it has lost, and stands out as a pale"
    " cell. The classifier must choose a class for noise, too."
)


def draw(runs: Sequence[Run], dataset: str, view: str, results_root: Path, folder: Path) -> list[Picture]:
    """The figure of one data set and view, if the evaluation left counts."""
    shares = class_shares(runs, results_root)
    if not shares:
        return []
    path = folder / f"{dataset}-{view}-classes.png"
    _heat_map(shares, path)
    title = "Classes of samples, as the domain classifier sees them"
    said = "; ".join(
        f"{name} {', '.join(f'{100 * share:.0f}' for share in row)}" for name, row in shares.items()
    )
    alt = f"{title}, percent of images by class: {said}"
    return [Picture(path, ROLE, dataset, view, title, alt, caption=_CAPTION)]


def class_shares(runs: Sequence[Run], results_root: Path) -> dict[str, np.ndarray]:
    """Shares of classes, float64 `[c]`, by model or `<model>/<way>`: means over seeds, test images first."""
    found: dict[str, list[np.ndarray]] = {}
    for run in runs:
        for name, counts in load_class_counts(results_root, run).items():
            found.setdefault(REAL, [counts["real"] / counts["real"].sum()])
            found.setdefault(name, []).append(counts["generated"] / counts["generated"].sum())
    return {name: np.mean(rows, axis=0) for name, rows in found.items()}


def _heat_map(shares: dict[str, np.ndarray], path: Path) -> None:
    percent = 100 * np.stack(list(shares.values()))
    rows, classes = percent.shape
    with canvas(max(1.9 + 0.5 * classes, 3.0), 0.8 + 0.24 * rows) as figure:
        axes = figure.subplots()
        # Twice the share of test images is dark already, whatever one collapsed model does.
        axes.imshow(percent, cmap="Blues", vmin=0, vmax=2.5 * percent[0].mean(), aspect="auto")
        for row in range(rows):
            for place in range(classes):
                dark = percent[row, place] > 1.5 * percent[0].mean()
                axes.text(place, row, f"{percent[row, place]:.0f}", ha="center", va="center", fontsize=8,
                          color="white" if dark else "black")  # fmt: skip
        axes.set_xticks(range(classes), [str(place) for place in range(classes)])
        axes.set_yticks(range(rows), list(shares))
        axes.get_yticklabels()[0].set_fontweight("bold")
        axes.axhline(0.5, color="black", linewidth=1)
        axes.grid(False)
        axes.set_xlabel("class (percent of images)")
        save(figure, path)
