"""What quality and likelihood cost: against seconds of training, and against seconds per generated image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgmbench.reporting.comparison.cells import Cell, Column
from dgmbench.reporting.comparison.table import Row, Table
from dgmbench.reporting.figures.canvas import KIND_STYLE, Picture, canvas, plain_decades, save, spoken
from dgmbench.reporting.figures.labels import Label, label_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROLE, TITLE = "costs", "Quality against cost"
_TRAINING, _RATE = "training_seconds [seconds]", "sampling_rate [images_per_second]"
_LIKELIHOOD = "log_likelihood [nats]"
# The first of these that a table has.
_QUALITY = ("fid_domain [1]", "fid_inception [1]")


@dataclass(frozen=True)
class Point:
    """A model by what it costs, in seconds, and what it reaches."""

    model: str
    seconds: float
    cell: Cell


def draw(table: Table, folder: Path) -> list[Picture]:
    """Panels of FID and of the tightest likelihood, by training and by sampling time; none without any."""
    keys = {column.key: column for column in table.columns}
    quality = next((key for key in _QUALITY if key in keys), None)
    rulers = [keys[key] for key in (quality, _LIKELIHOOD) if key in keys]
    what = "sentence" if table.view == "tokens" else "image"
    axes = {"training time (seconds)": "training", f"sampling time (seconds per {what})": "sampling"}
    panels = [
        (column, name, _points(table, column, cost)) for column in rulers for name, cost in axes.items()
    ]
    panels = [panel for panel in panels if panel[2]]
    if not panels:
        return []
    path = folder / f"{table.dataset}-{table.view}-costs.png"
    _draw(panels, path)
    said = " ".join(_spoken(*panel) for panel in panels)
    caption = (
        "Each point is a model, a mean over its seeds; bars: 95 %. Times are wall-clock, on the device that "
        "is named with the runs, and stand on logarithmic axes. Cheap and good is at the lower left in the "
        "panels of FID and at the upper left in those of the likelihood. Likelihoods are marked by their "
        "kind: a lower bound may hide a better model."
    )
    return [Picture(path, ROLE, table.dataset, table.view, TITLE, f"{TITLE}. {said}", caption=caption)]


def _points(table: Table, column: Column, cost: str) -> list[Point]:
    found = [(row, row.cells.get(column.key), _seconds(row, cost)) for row in table.rows]
    return [Point(row.model, seconds, cell) for row, cell, seconds in found if cell and seconds]


def _seconds(row: Row, cost: str) -> float | None:
    """Of training one seed, or of generating one image; None where it was not timed."""
    cell = row.cells.get(_TRAINING if cost == "training" else _RATE)
    if cell is None or cell.mean <= 0:
        return None
    return cell.mean if cost == "training" else 1 / cell.mean


def _draw(panels: Sequence[tuple[Column, str, list[Point]]], path: Path) -> None:
    rows = (len(panels) + 1) // 2
    most = max(len(points) for _, _, points in panels)
    with canvas(10.8, rows * max(3.4, 0.19 * most + 1.2)) as figure:
        grid = figure.subplots(rows, 2, squeeze=False)
        for axes, (column, name, points) in zip(grid.flat, panels, strict=False):
            _draw_panel(axes, column, name, points)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_axis_off()
        kinds: dict[str, Any] = {}
        for axes in grid.flat:
            kinds |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        if kinds:
            figure.legend(kinds.values(), kinds, loc="outside lower left", ncols=4, frameon=False, fontsize=8)
        for axes, (_, _, points) in zip(grid.flat, panels, strict=False):
            label_points(axes, [Label(each.model, each.seconds, each.cell.mean) for each in points])
        save(figure, path)


def _draw_panel(axes: Axes, column: Column, name: str, points: Sequence[Point]) -> None:
    logarithmic = _limit(axes, column, points)
    seen: set[str] = set()
    for point in points:
        kind = point.cell.kind if column.tightest else "exact"
        words = kind.replace("_", " ") if column.tightest and kind not in seen else None
        marker, colour = KIND_STYLE[kind]
        reach = point.cell.widest or 0.0
        # The lower end of a bar on a logarithmic axis stays above 0.
        low = min(reach, 0.9 * point.cell.mean) if logarithmic else reach
        axes.errorbar([point.seconds], [point.cell.mean], yerr=[[low], [reach]], fmt=marker, color=colour,
                      markersize=6, elinewidth=0.9, label=words)  # fmt: skip
        seen.add(kind)
    better = "higher" if column.direction == "higher" else "lower"
    unit = f" {column.unit_words}" if column.unit_words else ""
    axes.set(xlabel=name, ylabel=f"{column.label}{unit}, {better} is better")


def _limit(axes: Axes, column: Column, points: Sequence[Point]) -> bool:
    """Axes with room for names at their ends, and whether the upright one is logarithmic."""
    seconds, means = [point.seconds for point in points], [point.cell.mean for point in points]
    axes.set_xscale("log")
    beyond = max(3.0, (max(seconds) / min(seconds)) ** 0.15)
    axes.set_xlim(min(seconds) / beyond, max(seconds) * beyond)
    axes.margins(y=0.1)
    if column.tightest or min(means) <= 0:
        return False
    axes.set_yscale("log")
    axes.set_ylim(min(means) / 1.6, max(means) * 1.6)
    plain_decades(axes)
    return True


def _spoken(column: Column, name: str, points: Sequence[Point]) -> str:
    said = "; ".join(f"{p.model} {spoken(p.cell.mean)} at {spoken(p.seconds)}" for p in points)
    return f"{column.label} over {name}: {said}."
