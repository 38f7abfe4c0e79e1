"""How the metrics of a view relate, as a grid of the page."""

from __future__ import annotations

from dgmbench.reporting.page.grid import GAP, Entry, Grid, Head, Line
from dgmbench.reporting.relations.markdown import HEADS, cells
from dgmbench.reporting.relations.ranks import Correlation
from dgmbench.reporting.relations.relations import Relation, Relations

P = "two-sided: how often an order without relation would be as extreme"
_HELP = {
    "ρ over models": "Spearman's rank correlation of means over seeds, with its 95 % interval where n allows",
    "ρ over seeds": "mean of the rank correlations over the seeds within each model",
    "p over models": P,
    "p over seeds": P,
    "models": "how many have both scores",
    "models (seeds)": "how many models have several seeds with both scores, and how many seeds they have",
}


def relations_grid(found: Relations) -> Grid:
    """A line for each pair of scores."""
    heads = [Head(title, help=_HELP.get(title, ""), is_text=place == 0) for place, title in enumerate(HEADS)]
    name = f"{found.dataset}-{found.view}-relations"
    label = f"Rank correlations, {found.dataset}, {found.view} view"
    return Grid(name, label, heads, [_line(row) for row in found.rows])


def _line(row: Relation) -> Line:
    first, rho, p, count, rho_seeds, p_seeds, of_seeds = cells(row)
    entries = [*_entries(row.over_models, rho, p), Entry(count, value=row.models)]
    entries += [*_entries(row.over_seeds, rho_seeds, p_seeds), Entry(of_seeds) if row.over_seeds else GAP]
    return Line(Entry(first), entries)


def _entries(found: Correlation | None, rho: str, p: str) -> tuple[Entry, Entry]:
    """A correlation, with the ends of its interval, and its p-value."""
    if found is None:
        return GAP, GAP
    ends = {"low": found.low, "high": found.high}
    facts = tuple((name, repr(value)) for name, value in ends.items() if value is not None)
    return Entry(rho, value=found.rho, facts=facts), Entry(p, value=found.p)
