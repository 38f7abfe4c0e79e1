"""A cell in few digits, for small tables, sentences and the page: `≥ 81.8 ± 2.5`.

At most three significant digits of a mean, and no more than two of its widest interval. The interval over
trainings alone is left to `Cell.text`.
"""

from __future__ import annotations

import math

from dgmbench.metrics import declared
from dgmbench.reporting.comparison.cells import PARTIAL, Cell, decimals, number
from dgmbench.reporting.words import kind_mark

DIGITS = 3
# After the error of a probe, where others are of classifiers.
PROBE = "probe"


def short(cell: Cell) -> str:
    """Mean and widest interval."""
    return " ".join(part for part in (short_mean(cell), short_half(cell)) if part)


def short_mean(cell: Cell) -> str:
    """`≥ 81.8`, with its kind for a likelihood."""
    mark = f"{kind_mark(cell.metric, cell.kind, cell.unit)} " if declared(cell.metric).likelihood else ""
    if _is_count(cell):
        return f"{cell.mean:,.0f}"
    return mark + number(cell.mean, places(cell.mean, cell.widest, cell.unit))


def short_half(cell: Cell) -> str:
    """`± 2.5`; empty where no interval is known."""
    half = cell.widest
    if half is None or _is_count(cell):
        return ""
    if not half:
        return "± 0"
    # Of an interval far below the last digit of the mean, one digit.
    first = -math.floor(math.log10(half))
    return f"± {number(half, max(places(cell.mean, half, cell.unit), first))}"


def remarks(cell: Cell) -> str:
    """What goes with the number: that it is of one seed, which bound, of fewer images, of a probe."""
    alone = "1 seed" if cell.n < 2 and not _is_count(cell) else ""
    said = (alone, cell.bound, PARTIAL * cell.partial, PROBE * is_probe(cell))
    return " ".join(part for part in said if part)


def is_probe(cell: Cell) -> bool:
    """Whether it is the error of a linear probe of a model's features."""
    return cell.metric.startswith("probe_error_")


def places(mean: float, half: float | None, unit: str) -> int:
    """Decimals of a mean with half an interval: two significant digits of that, three of the mean."""
    if not mean or not math.isfinite(mean):
        return decimals(half or 0.0, unit)
    own = DIGITS - 1 - math.floor(math.log10(abs(mean)))
    return min(own, decimals(half, unit)) if half else own


def _is_count(cell: Cell) -> bool:
    return declared(cell.metric).whole and not cell.half_width
