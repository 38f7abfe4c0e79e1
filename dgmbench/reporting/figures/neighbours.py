"""Figures of memorisation: the closest pairs of generated and training images, and how near all lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgmbench.reporting.figures import pictures
from dgmbench.reporting.figures.canvas import BLUE, DPI, ORANGE, Picture, canvas, save
from dgmbench.reporting.run_files import Run, levels_of, load_neighbours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAIRS = 8
_CAPTION = (
    "Above: the generated images that are closest to training images, by the nearest under shifts of up to "
    "one pixel: the worst cases, not typical ones. Below: how far generated and held-out images lie from "
    "the nearest training image. A copy sits close to its neighbour, and then the generated images' "
    "distances fall below those of held-out images. All of it is a heuristic: without the shifts, moving a "
    "copy by a pixel is enough to hide it."
)
# Pixels: left of the images, above them, and the height of the histograms with their labels.
_LEFT, _ABOVE, _BELOW = 120, 40, 310


def draw(runs: Sequence[Run], manifest: Mapping[str, Any], results_root: Path, folder: Path) -> list[Picture]:
    """Per run: generated images above their nearest training images, and distances in every space."""
    drawn = []
    for run in runs:
        content = load_neighbours(results_root, run)
        if content is None or not len(content["samples"]):
            continue
        path = folder / f"{run.dataset}-{run.view}-neighbours-{run.model}.png"
        neighbour_figure(run, content, levels_of(manifest, run.view), path)
        alt = (
            f"{run.model}: the generated images closest to training images, above the training image nearest "
            f"to each; distances to training data of {'; of '.join(_means(content))}"
        )
        drawn.append(Picture(path, "neighbours", run.dataset, run.view, run.model, alt, run.model, _CAPTION))
    return drawn


def _means(content: Mapping[str, np.ndarray]) -> list[str]:
    means = []
    for prefix, where in (("", "in pixels"), ("domain_", "in features")):
        if f"{prefix}generated_distances" in content:
            ours, theirs = (
                np.mean(content[f"{prefix}{side}_distances"]) for side in ("generated", "heldout")
            )
            means.append(f"generated (mean {ours:.2f}) and held-out images (mean {theirs:.2f}) {where}")
    return means


def neighbour_figure(run: Run, content: Mapping[str, np.ndarray], levels: int, path: Path) -> None:
    """Draw one run's neighbours; `content` as `load_neighbours` gives it, pixel distances in [0,1] values."""
    rows = {"generated": content["samples"], "nearest in\ntraining data": content["neighbours"]}
    distances = {"distance": content["distances"]}
    if "shifted" in content:
        rows["nearest under\n1-pixel shifts"] = content["shifted"]
        distances["under shifts"] = content["shifted_distances"]
    n = min(PAIRS, len(content["samples"]))
    sheet = pictures.row_sheet(list(rows.values()), levels, n, width=620)
    width = max(sheet.shape[1] + _LEFT + 10, 620)
    height = sheet.shape[0] + _ABOVE + 16 * len(distances) + _BELOW
    with canvas(width / DPI, height / DPI) as figure:
        figure.text(12 / width, 1 - 24 / height, f"{run.model}, seed {run.seed}", fontsize=11, weight="bold")
        bottom = height - _ABOVE - sheet.shape[0]
        figure.figimage(sheet, xo=_LEFT, yo=bottom)
        centres = [bottom + sheet.shape[0] * (1 - (row + 0.5) / len(rows)) for row in range(len(rows))]
        _name_rows(figure, dict(zip(rows, centres, strict=True)))
        for line, (name, values) in enumerate(distances.items()):
            _write_distances(figure, name, values[:n], sheet.shape[1] / n, bottom - 16 * (line + 1))
        _histograms(figure, content)
        save(figure, path, tight=False)


def _size(figure: Figure) -> tuple[float, float]:
    width, height = figure.get_size_inches() * DPI
    return float(width), float(height)


def _name_rows(figure: Figure, names: Mapping[str, float]) -> None:
    width, height = _size(figure)
    for name, y in names.items():
        figure.text((_LEFT - 8) / width, y / height, name, ha="right", va="center", fontsize=9)


def _write_distances(figure: Figure, name: str, values: np.ndarray, step: float, y: float) -> None:
    width, height = _size(figure)
    figure.text((_LEFT - 8) / width, y / height, name, ha="right", fontsize=9)
    for i, value in enumerate(values):
        figure.text((_LEFT + (i + 0.5) * step) / width, y / height, f"{value:.2f}", ha="center", fontsize=9)


def _histograms(figure: Figure, content: Mapping[str, np.ndarray]) -> None:
    """Distances of generated and held-out images, in pixels and, where there are any, in features."""
    width, height = _size(figure)
    spaces = {"": "L2, pixels in [0, 1]"}
    if "domain_generated_distances" in content:
        spaces["domain_"] = "L2, domain features"
    each = (width - 70) / len(spaces)
    for place, (prefix, unit) in enumerate(spaces.items()):
        left = 70 + place * each
        axes = figure.add_axes((left / width, 75 / height, (each - 45) / width, 165 / height))
        ours, theirs = (content[f"{prefix}{side}_distances"] for side in ("generated", "heldout"))
        _distance_histogram(axes, ours, theirs)
        axes.set(xlabel=f"distance to the nearest training image\n({unit})")
        axes.set_ylabel("% of images" if place == 0 else "")


def _distance_histogram(axes: Axes, generated: np.ndarray, heldout: np.ndarray) -> None:
    import seaborn as sns

    both = np.concatenate([generated, heldout])
    edges = np.linspace(both.min(), both.max() + 1e-6, 31)
    for values, colour, name in ((heldout, BLUE, "held-out"), (generated, ORANGE, "generated")):
        sns.histplot(x=values, bins=edges, stat="percent", element="step", color=colour, alpha=0.25, ax=axes,
                     label=f"{name} images (mean {np.mean(values):.2f})")  # fmt: skip
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.97))
