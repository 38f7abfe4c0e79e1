"""How a cell of a comparison stands in a table of the page: in few digits, in full on hovering."""

from __future__ import annotations

from dgmbench.metrics import UNITS, declared
from dgmbench.metrics.likelihood import EXACT
from dgmbench.reporting.comparison.cells import Cell, Column, spread
from dgmbench.reporting.comparison.short import factor, remarks, short, short_half, short_mean
from dgmbench.reporting.page.grid import GAP, Entry


def entry_of(cell: Cell | None, column: Column | None = None) -> Entry:
    """A cell's entry in a column; a gap for None."""
    if cell is None:
        return GAP
    timing = declared(cell.metric).timing
    return Entry(
        text=short_mean(cell),
        spread=short_half(cell),
        value=cell.mean,
        half=None if timing else cell.widest,
        title=in_full(cell),
        note=remarks(cell),
        css="best" if cell.best else "",
        metric=cell.metric if column is None or cell.metric != column.metric else "",
        facts=facts_of(cell),
    )


def facts_of(cell: Cell) -> tuple[tuple[str, str], ...]:
    """What sort of number it is, so that a CSV file mixes none silently."""
    metric, images = declared(cell.metric), str(cell.images) if cell.images and cell.images > 1 else ""
    bound = "" if metric.tightness is None or metric == EXACT else metric.label
    times = factor(cell) if metric.timing else None
    found = {
        "factor": "" if times is None else repr(times),
        "kind": cell.kind,
        "bound": bound,
        "seeds": str(cell.n),
        "images": images,
    }
    return tuple((name, value) for name, value in found.items() if value)


def in_full(cell: Cell) -> str:
    """All that a cell knows, in words."""
    unit = UNITS[cell.unit]
    metric = declared(cell.metric)
    value = short(cell) if metric.timing else cell.plain
    said = [f"{metric.label}{f' ({unit})' if unit else ''}: {value}"]
    if cell.combined is not None and cell.half_width is not None:
        said.append(f"± {spread(cell.half_width, cell.unit)} over trainings alone")
    said.append(cell.kind.replace("_", " "))
    said.append(f"{cell.n} seed{'' if cell.n == 1 else 's'}")
    if cell.images and cell.images > 1:
        said.append(f"{cell.images:,} items each")
    return ", ".join(said)
