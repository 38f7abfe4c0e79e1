"""Test error over the number of labels: how much each method gains from more of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgmbench.reporting.comparison.by_labels import ALL, by_labels_of
from dgmbench.reporting.comparison.cells import Cell
from dgmbench.reporting.comparison.table import Row, Table
from dgmbench.reporting.figures.canvas import Picture, canvas, line_style, plain_decades, save, spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROLE = "labels"
# A line has so many points or more.
FEWEST = 2
# Linear probes that are drawn: those of the lowest error.
PROBES = 3
# Of a bar on the logarithmic axis: the share of the mean below which its lower end is cut.
LEAST = 0.05
ZERO = " A mean of 0 is drawn at half a wrong prediction among those of all seeds, and marked 0."


def draw(table: Table | None, images: int, folder: Path) -> list[Picture]:
    """A line for every method at two or more numbers of labels, dashed ones for the best linear probes.

    Args:
        table: of errors by labels; None draws nothing.
        images: how many training images there are, where `all` is drawn.
    """
    lines = [] if table is None else _lines(table)
    if table is None or not lines:
        return []
    path = folder / f"{table.dataset}-labels.png"
    with canvas(7.4, 3.9 + 0.16 * len(lines)) as figure:
        axes, end = figure.subplots(), _end(lines, images)
        for place, (row, probe) in enumerate(lines):
            dashes = {"linestyle": "--" if probe else "-"}
            _line(axes, row, end, line_style(place) | dashes)
        counts = sorted({_place(count, end) for row, _ in lines for count in by_labels_of(row)})
        axes.set(xscale="log", yscale="log", xlabel="labels", ylabel="test error (%)")
        # Bars to zero would take half of a logarithmic axis.
        axes.set_ylim(bottom=0.4 * min(_height(cell) for row, _ in lines for cell in row.cells.values()))
        axes.set_xticks(counts, [f"{count:,}" if count != end else f"all {images:,}" for count in counts])
        axes.set_xticks([], minor=True)
        plain_decades(axes)
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=2, frameon=False, fontsize=8)
        save(figure, path)
    said = ". ".join(_spoken(row) for row, _ in lines)
    zero = any(cell.mean <= 0 for row, _ in lines for cell in row.cells.values())
    alt = f"Test error in percent over the number of labels. {said}.{ZERO * zero}"
    return [Picture(path, ROLE, table.dataset, table.view, "Error by number of labels", alt)]


def _lines(table: Table) -> list[tuple[Row, bool]]:
    """Rows with several counts, and whether each is a probe."""
    several = [row for row in table.rows if len(by_labels_of(row)) >= FEWEST]
    own = [row for row in several if not row.is_probe]
    probes = [row for row in several if row.model.endswith(", linear probe")]
    return [(row, False) for row in own] + [(row, True) for row in probes[:PROBES]]


def _end(lines: list[tuple[Row, bool]], images: int) -> int:
    """Where `all` is drawn: at the number of training images, or beyond a count that lies close to it."""
    counts = [int(count) for row, _ in lines for count in by_labels_of(row) if count != ALL]
    return max(images, 2 * max(counts, default=0))


def _place(count: str, end: int) -> int:
    return end if count == ALL else int(count)


def _line(axes: Axes, row: Row, end: int, style: dict[str, Any]) -> None:
    found = sorted(
        ((_place(count, end), cell) for count, cell in by_labels_of(row).items()), key=lambda each: each[0]
    )
    reach = [_reach(cell) for _, cell in found]
    axes.errorbar(
        [x for x, _ in found], [_height(cell) for _, cell in found],
        yerr=[[low for low, _ in reach], [high for _, high in reach]],
        label=row.model, capsize=2, markersize=5, linewidth=1.4, **style,
    )  # fmt: skip
    for x, cell in found:
        if cell.mean <= 0:
            axes.annotate("0", (x, _height(cell)), (5, 2), textcoords="offset points", fontsize=7)


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
