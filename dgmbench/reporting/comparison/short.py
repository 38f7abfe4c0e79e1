"""A cell in few digits, for small tables, sentences and the page: `≥ 81.8 ± 2.5`.

At most three significant digits of a mean, and no more than two of its widest interval. The interval over
trainings alone is left to `Cell.text`.
"""

from __future__ import annotations

import math

from dgmbench.metrics import declared
from dgmbench.reporting.comparison.cells import PARTIAL, Cell, decimals, number
from dgmbench.reporting.words import kind_mark
from dgmbench.statistics import student_interval

DIGITS = 3
# Before the factor of a timing; of a larger one a reader needs no more.
TIMES, _MOST = "×/÷", 100.0
# After the error of a probe, where others are of classifiers.
PROBE = "probe"
ONE_SEED = "1 seed"


def short(cell: Cell) -> str:
    """Mean and widest interval."""
    return " ".join(part for part in (short_mean(cell), short_half(cell)) if part)


def short_mean(cell: Cell) -> str:
    """`≥ 81.8`, with its kind for a likelihood."""
    mark = f"{kind_mark(cell.metric, cell.kind, cell.unit)} " if declared(cell.metric).likelihood else ""
    if cell.is_count:
        return f"{cell.mean:,.0f}"
    return mark + number(cell.mean, places(cell.mean, cell.widest, cell.unit))


def short_half(cell: Cell) -> str:
    """`± 2.5`, of a timing `×/÷ 1.9`; empty where no interval is known."""
    if declared(cell.metric).timing:
        return _times(factor(cell))
    half = cell.widest
    if half is None or cell.is_count:
        return ""
    if not half:
        return "± 0"
    # Of an interval far below the last digit of the mean, one digit.
    first = -math.floor(math.log10(half))
    return f"± {number(half, max(places(cell.mean, half, cell.unit), first))}"


def factor(cell: Cell) -> float | None:
    """How many times a timing may lie off its mean, with 95 % over trainings; None where that is not known.

    Timings are compared by their logarithms (`dgmbench.claims.comparison.times`), so their intervals are too.
    """
    if len(cell.values) < 2 or min(cell.values) <= 0:
        return None
    half = student_interval([math.log(value) for value in cell.values]).half
    return math.exp(half) if half < math.log(_MOST) else math.inf


def _times(found: float | None) -> str:
    if found is None:
        return ""
    if found > _MOST:
        return f"{TIMES} >{_MOST:g}"
    if found == 1:
        return f"{TIMES} 1"
    # Rounded up, so that no factor of what varies is 1.00.
    return (
        f"{TIMES} {math.ceil(found * 100) / 100:.2f}"
        if found < 2
        else f"{TIMES} {number(found, decimals(found, '1'))}"
    )


def remarks(cell: Cell) -> str:
    """What goes with the number: that it is of one seed, which bound, of fewer images, of a probe."""
    alone = ONE_SEED if cell.n < 2 and not cell.is_count else ""
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
