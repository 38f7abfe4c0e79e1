"""Test error over the number of labels: what each method gains from more of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgmbench.reporting.comparison.by_labels import ALL, by_labels_of
from dgmbench.reporting.comparison.cells import Cell
from dgmbench.reporting.comparison.table import Row, Table
from dgmbench.reporting.figures.canvas import Picture, canvas, line_style, plain_decades, save, spoken
from dgmbench.reporting.figures.labels import Label, label_ends, label_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROLE = "labels"
# A line has so many points or more; with fewer, a method is a point.
FEWEST = 2
# Linear probes that are drawn: those of the lowest error.
PROBES = 3
# Of a bar on the logarithmic axis: the share of the mean below which its lower end is cut.
LEAST = 0.05
_CAPTION = (
    "Means over seeds; bars: 95 %, over trainings and test images together. Each seed has a label set of "
    "its own, but for all labels. Solid lines: methods that were trained at several numbers of labels. "
    "Dashed: the linear probes of the models whose features read best. Points without a line: methods that "
    "were trained at one number of labels. Points of one number stand side by side. Both axes are "
    "logarithmic, so the lower end of a bar is cut at a twentieth of the mean."
)
_PUBLISHED = " Black lines: published errors, whose protocols are in the notes."
ZERO = " A mean of 0 is drawn at half a wrong prediction among those of all seeds, and marked 0."


def draw(table: Table | None, images: int, folder: Path) -> list[Picture]:
    """A line for every method at several numbers of labels, a point for one at a single number, dashed lines
    for the best linear probes, and what was published.

    Args:
        table: of errors by labels; None draws nothing.
        images: how many training images there are, where `all` is drawn.
    """
    shown = [] if table is None else _shown(table)
    if table is None or not shown:
        return []
    path = folder / f"{table.dataset}-labels.png"
    _draw(shown, images, path)
    said = ". ".join(_spoken(row) for row, _ in shown)
    zero = ZERO * any(cell.mean <= 0 for row, _ in shown for cell in row.cells.values())
    alt = f"Test error in percent over the number of labels. {said}.{zero}"
    published = _PUBLISHED * any(row.published for row, _ in shown)
    title, caption = "Error by number of labels", _CAPTION + zero + published
    return [Picture(path, ROLE, table.dataset, table.view, title, alt, caption=caption)]


def _shown(table: Table) -> list[tuple[Row, bool]]:
    """Rows with whether each is a probe: methods with several counts, the best probes, then lone points."""
    probes = [row for row in table.rows if row.model.endswith(", linear probe") and _is_line(row)]
    own = [row for row in table.rows if not row.is_probe and row.cells]
    lines = [(row, False) for row in own if _is_line(row)] + [(row, True) for row in probes[:PROBES]]
    return lines + [(row, False) for row in own if not _is_line(row)]


def _is_line(row: Row) -> bool:
    return len(by_labels_of(row)) >= FEWEST


def _draw(shown: list[tuple[Row, bool]], images: int, path: Path) -> None:
    end, lines = _end(shown, images), sum(_is_line(row) for row, _ in shown)
    # Lone points stand in a row, from their number of labels to no more than some twice of it.
    step = min(1.09, 2.2 ** (1 / (len(shown) - lines + 2)))
    with canvas(9.4, max(4.6, 0.17 * len(shown) + 1.6)) as figure:
        axes = figure.subplots()
        axes.set(xscale="log", yscale="log", xlabel="labels", ylabel="test error (%), lower is better")
        ends: list[Label] = []
        points: list[Label] = []
        for place, (row, probe) in enumerate(shown):
            style = line_style(place) | {"linestyle": "--" if probe else "-"}
            # Bars at the same number of labels stand side by side, lone points in a row to the right.
            aside = 1.025 ** (place - (lines - 1) / 2) if _is_line(row) else step ** (place - lines + 2)
            name = _line(axes, row, end, style, aside)
            (ends if _is_line(row) else points).append(name)
            points += _published(axes, row, end, aside)
        _limit(axes, [row for row, _ in shown], end, images)
        placed = [(float(x), float(y)) for line in axes.get_lines() for x, y in np.asarray(line.get_xydata())]
        label_ends(axes, ends)
        label_points(axes, points, placed)
        save(figure, path)


def _limit(axes: Axes, rows: list[Row], end: int, images: int) -> None:
    counts = sorted({_place(count, end) for row in rows for count in by_labels_of(row)})
    # Bars to zero would take half of a logarithmic axis.
    axes.set_ylim(bottom=0.4 * min(_height(cell) for row in rows for cell in row.cells.values()))
    axes.set_xticks(counts, [f"{count:,}" if count != end else f"all {images:,}" for count in counts])
    axes.set_xticks([], minor=True)
    plain_decades(axes)


def _end(shown: list[tuple[Row, bool]], images: int) -> int:
    """Where `all` is drawn: at the number of training images, or beyond a count that lies close to it."""
    counts = [int(count) for row, _ in shown for count in by_labels_of(row) if count != ALL]
    return max(images, 2 * max(counts, default=0))


def _place(count: str, end: int) -> int:
    return end if count == ALL else int(count)


def _line(axes: Axes, row: Row, end: int, style: dict[str, Any], aside: float) -> Label:
    """A method's means and bars, `aside` times the number of labels; returns its name at its last point."""
    found = sorted(
        ((_place(count, end), cell) for count, cell in by_labels_of(row).items()), key=lambda each: each[0]
    )
    reach = [_reach(cell) for _, cell in found]
    axes.errorbar(
        [aside * x for x, _ in found], [_height(cell) for _, cell in found],
        yerr=[[low for low, _ in reach], [high for _, high in reach]],
        capsize=2, markersize=5, linewidth=1.4, elinewidth=0.8, **style,
    )  # fmt: skip
    for x, cell in found:
        if cell.mean <= 0:
            axes.annotate("0", (aside * x, _height(cell)), (5, 2), textcoords="offset points", fontsize=8)
    return Label(row.model, aside * found[-1][0], _height(found[-1][1]), str(style["color"]))


def _published(axes: Axes, row: Row, end: int, aside: float) -> list[Label]:
    """Short black lines at what the literature gives for a row, with their names."""
    names = []
    for reference in row.published:
        count = reference.metric.rpartition("_")[2]
        if count not in by_labels_of(row):
            continue
        at = aside * _place(count, end)
        axes.plot([at / 1.06, at * 1.06], [reference.value] * 2, color="black", linewidth=2.5)
        names.append(Label(f"{row.model}, published", at, reference.value))
    return names


def _height(cell: Cell) -> float:
    """Where a mean is drawn: 0, which a logarithmic axis lacks, at half of the least error that is not 0."""
    return max(cell.mean, 100 * 0.5 / (cell.n * (cell.images or 1)))


def _reach(cell: Cell) -> tuple[float, float]:
    """How far a bar goes down, which ends above 0, and up."""
    height, half = _height(cell), cell.widest or 0.0
    return min(half, (1 - LEAST) * height), max(0.0, cell.mean + half - height)


def _spoken(row: Row) -> str:
    steps = ", ".join(f"{spoken(cell.mean)} with {count}" for count, cell in by_labels_of(row).items())
    return f"{row.model}: {steps}"
