"""The figure of a comparison's likelihoods with intervals; the Parzen heuristic in a panel of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgmbench.metrics import declared
from dgmbench.reporting.comparison.cells import Cell, Column, decimals, number
from dgmbench.reporting.comparison.published import fits, of_the_same_kind, reference_text
from dgmbench.reporting.comparison.reference import Reference
from dgmbench.reporting.comparison.table import Row, Table
from dgmbench.reporting.figures.canvas import KIND_STYLE, Picture, canvas, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CAPTION = (
    "Each dot is a model's likelihood of test images in nats, by kind: exact values and bounds on the left,"
    " the Parzen window, which may order models wrongly, in a panel of its own. Bars: 95 %, over trainings "
    "and test images together. Models share the test images, so overlapping bars do not mean that two "
    "models cannot be told apart: see the notes to the tables."
)
_PUBLISHED = " Black lines: published values, whose protocols are in the notes; budgets differ."
_HEADLINE, _GAP = "log_likelihood [nats]", "bdmc_gap [nats]"


def draw(table: Table, folder: Path) -> list[Picture]:
    """One dot per model and figure in nats, the tightest stressed; no picture where there is no likelihood.

    A bound over other images than the model's tightest stays out: side by side they would mislead.
    """
    bounds = [c for c in table.columns if c.unit == "nats" and declared(c.metric).tightness is not None]
    parzen = [c for c in table.columns if (c.metric, c.unit) == ("log_likelihood_parzen", "nats")]
    panels = [panel for panel in (bounds, parzen) if panel]
    if not panels:
        return []
    keys = {column.key for panel in panels for column in panel}
    rows = [row for row in table.rows if keys & row.cells.keys()]
    path = folder / f"{table.dataset}-{table.view}-likelihoods.png"
    titles = ["log-likelihood and bounds"] * bool(bounds) + ["Parzen window (heuristic)"] * bool(parzen)
    _draw(rows, panels, titles, "sentence" if table.view == "tokens" else "image", path)
    shown = "; ".join(_spoken(table, column) for panel in panels for column in panel)
    said = [f"{row.model} {reference_text(r)}, {r.source}" for row in rows for r in _published(row, panels)]
    alt = f"Likelihoods with 95 % intervals over trainings and test images. {shown}"
    alt += f". Published: {'; '.join(said)}" if said else ""
    caption = _CAPTION + (_PUBLISHED if said else "")
    return [Picture(path, "likelihoods", table.dataset, table.view, "Likelihoods", alt, caption=caption)]


def _draw(
    rows: Sequence[Row], panels: Sequence[Sequence[Column]], titles: Sequence[str], what: str, path: Path
) -> None:
    names = [row.model for row in rows]
    with canvas(4.6 * len(panels) + 0.6, 0.42 * len(names) + 1.9) as figure:
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, columns, title in zip(grid, panels, titles, strict=True):
            _draw_panel(axes, rows, columns)
            axes.set_title(title, fontsize=10, loc="left")
            axes.set_xlabel(f"nats per test {what} (higher is better)")
        grid[0].set_yticks(range(len(names)), names)
        grid[0].invert_yaxis()
        kinds: dict[str, Any] = {}
        for axes in grid:
            kinds |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(
            kinds.values(), kinds, loc="outside lower left", frameon=False, fontsize=8, ncols=2 * len(panels)
        )
        save(figure, path)


def _draw_panel(axes: Axes, rows: Sequence[Row], columns: Sequence[Column]) -> None:
    """Dots with interval bars; a bound that is also the model's tightest is drawn once, as the tightest."""
    seen: set[str] = set()
    for y, row in enumerate(rows):
        drawn: set[str] = set()
        for column in columns:
            cell = _comparable(row, column)
            if cell is None or cell.metric in drawn:
                continue
            drawn.add(cell.metric)
            tight = column.tightest or cell.kind == "heuristic"
            _draw_cell(axes, cell, y, tight, seen)
            if cell.metric == "log_likelihood_ais" and _GAP in row.cells:
                _write_gap(axes, cell, row.cells[_GAP], y)
        for reference in _published(row, [columns]):
            label = None if "published" in seen else "published"
            seen.add("published")
            axes.plot([reference.value] * 2, [y - 0.4, y + 0.4], color="black", linewidth=2.2, label=label)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.margins(x=0.08)
    axes.grid(axis="y", visible=False)


def _published(row: Row, panels: Sequence[Sequence[Column]]) -> list[Reference]:
    """Figures of the literature for the panels of a row, of the same data."""
    return [
        reference
        for reference in row.published
        for columns in panels
        if reference.unit == "nats" and of_the_same_kind(reference) and fits(reference, columns)
    ]


def _comparable(row: Row, column: Column) -> Cell | None:
    """The cell to draw: none where it is a bound over other images than the model's headline."""
    cell, headline = row.cells.get(column.key), row.cells.get(_HEADLINE)
    if cell is None or headline is None or declared(cell.metric).tightness is None:
        return cell
    return cell if cell.images == headline.images else None


def _draw_cell(axes: Axes, cell: Cell, y: int, tight: bool, seen: set[str]) -> None:
    marker, colour = KIND_STYLE[cell.kind]
    name = cell.kind.replace("_", " ") + ("" if tight else " (looser)")
    name += " (of fewer images)" if cell.partial else ""
    axes.errorbar(
        [cell.mean],
        [y],
        xerr=[cell.widest or 0.0],
        fmt=marker,
        color=colour,
        markerfacecolor="white" if cell.partial else colour,
        alpha=1.0 if tight else 0.4,
        markersize=7 if tight else 5,
        capsize=4,
        linewidth=1.4,
        label=None if name in seen else name,
    )
    seen.add(name)


def _write_gap(axes: Axes, cell: Cell, gap: Cell, y: int) -> None:
    """Beside an annealed bound, how far apart its two bounds are on simulated images."""
    text = f"BDMC gap {number(gap.mean, min(2, decimals(gap.widest or 0.0, gap.unit)))}"
    where = (cell.mean + (cell.widest or 0.0), y)
    axes.annotate(text, where, (6, -11), textcoords="offset points", fontsize=8, color=".35")


def _spoken(table: Table, column: Column) -> str:
    cells = [(row, cell) for row in table.rows if (cell := _comparable(row, column))]
    said = [f"{row.model} {cell.text}" + _spoken_gap(row, cell) for row, cell in cells]
    return f"{declared(column.metric).label}: " + (", ".join(said) or "of other images, not drawn")


def _spoken_gap(row: Row, cell: Cell) -> str:
    if cell.metric != "log_likelihood_ais" or _GAP not in row.cells:
        return ""
    return f" (AIS, BDMC gap {row.cells[_GAP].text})"
