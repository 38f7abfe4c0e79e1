"""How the metrics of a view relate, as a grid of the page."""

from __future__ import annotations

from dgmbench.reporting.page.grid import GAP, Entry, Grid, Head, Line
from dgmbench.reporting.relations.markdown import HEADS, cells
from dgmbench.reporting.relations.ranks import Correlation
from dgmbench.reporting.relations.relations import Relation, Relations

_HELP = {
    "ρ over models": "Spearman's rank correlation of means over seeds, with its 95 % interval where n allows",
    "ρ over seeds": "mean of the rank correlations over the seeds within each model",
    "p": "two-sided: how often an order without relation would be as extreme",
}


def relations_grid(found: Relations) -> Grid:
    """A line for each pair of scores."""
    heads = [Head(title, help=_HELP.get(title, ""), is_text=place == 0) for place, title in enumerate(HEADS)]
    name = f"{found.dataset}-{found.view}-relations"
    label = f"Rank correlations, {found.dataset}, {found.view} view"
    return Grid(name, label, heads, [_line(row) for row in found.rows])


def _line(row: Relation) -> Line:
    first, *texts = cells(row)
    models, seeds = row.over_models, row.over_seeds
    numbers = (*_numbers(models), float(row.models), *_numbers(seeds), float(seeds.n) if seeds else None)
    return Line(Entry(first), [_entry(text, value) for text, value in zip(texts, numbers, strict=True)])


def _numbers(found: Correlation | None) -> tuple[float | None, float | None]:
    return (None, None) if found is None else (found.rho, found.p)


def _entry(text: str, value: float | None) -> Entry:
    return GAP if value is None else Entry(text, value=value)
