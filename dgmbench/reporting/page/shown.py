"""How a cell of a comparison stands in a table of the page: shorter than in Markdown, in full on hovering.

At most three significant digits of a mean, and no more than two of its interval; the interval over trainings
alone is left to the tooltip, the CSV and the Markdown tables.
"""

from __future__ import annotations

import math

from dgmbench.metrics import UNITS, declared
from dgmbench.reporting.comparison.cells import PARTIAL, Cell, Column, decimals, number, spread
from dgmbench.reporting.page.grid import GAP, Entry
from dgmbench.reporting.words import kind_mark

DIGITS = 3


def entry_of(cell: Cell | None, column: Column | None = None) -> Entry:
    """A cell's entry in a column; a gap for None."""
    if cell is None:
        return GAP
    return Entry(
        text=f"{_mark(cell)}{_mean(cell)}",
        spread=_half(cell),
        value=cell.mean,
        half=cell.widest,
        title=_in_full(cell),
        note=" ".join(part for part in (_one_seed(cell), cell.bound, PARTIAL * cell.partial) if part),
        css="best" if cell.best else "",
        metric=cell.metric if column is None or cell.metric != column.metric else "",
    )


def places(mean: float, half: float | None, unit: str) -> int:
    """Decimals of a mean with half an interval: two significant digits of that, three of the mean."""
    if not mean or not math.isfinite(mean):
        return decimals(half or 0.0, unit)
    own = DIGITS - 1 - math.floor(math.log10(abs(mean)))
    return min(own, decimals(half, unit)) if half else own


def _mean(cell: Cell) -> str:
    if _is_count(cell):
        return f"{cell.mean:,.0f}"
    return number(cell.mean, places(cell.mean, cell.widest, cell.unit))


def _half(cell: Cell) -> str:
    """` ± 0.4`; empty where no interval is known."""
    half = cell.widest
    if half is None or _is_count(cell):
        return ""
    digits = places(cell.mean, half, cell.unit)
    shown = number(half, digits)
    if half and not float(shown.replace(",", "")):
        shown = f"<{number(10.0**-digits, digits)}"
    return f"± {shown if half else 0}"


def _mark(cell: Cell) -> str:
    likelihood = declared(cell.metric).likelihood
    return f"{kind_mark(cell.metric, cell.kind, cell.unit)} " if likelihood else ""


def _one_seed(cell: Cell) -> str:
    return "" if cell.n > 1 or _is_count(cell) else "1 seed"


def _is_count(cell: Cell) -> bool:
    return declared(cell.metric).whole and not cell.half_width


def _in_full(cell: Cell) -> str:
    unit = UNITS[cell.unit]
    said = [f"{declared(cell.metric).label}{f' ({unit})' if unit else ''}: {cell.plain}"]
    if cell.combined is not None and cell.half_width is not None:
        said.append(f"± {spread(cell.half_width, cell.unit)} over trainings alone")
    said.append(cell.kind.replace("_", " "))
    said.append(f"{cell.n} seed{'' if cell.n == 1 else 's'}")
    if cell.images and cell.images > 1:
        said.append(f"{cell.images:,} items each")
    return ", ".join(said)
