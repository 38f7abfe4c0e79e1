"""Where Parzen windows order two models against their likelihoods (Theis et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dgmbench.metrics import declared
from dgmbench.metrics.likelihood import is_parzen
from dgmbench.reporting.comparison.cells import Cell, Column
from dgmbench.reporting.comparison.paired import is_clear

if TYPE_CHECKING:
    from dgmbench.reporting.comparison.table import Row, Table

# Kinds of likelihoods that are no bound.
VALUES = ("exact", "estimate")
HEADLINE = "log_likelihood [nats]"
CLAIM = "Parzen scores order models as their log-likelihoods do"


def inversion_note(table: Table) -> str:
    """One sentence on the models that Parzen orders against their likelihoods; empty if there are none.

    Parzen praises X above Y, although Y is surely better: Y's value or lower bound lies above X's value.
    Either order counts only where the interval of the difference, over trainings and the test images that
    both have, leaves zero out.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[Column]] = {}
    for column in table.columns:
        if is_parzen(declared(column.metric)) and column.unit == "nats":
            scored = [row for row in table.rows if column.key in row.cells]
            for better in scored:
                praised = tuple(row.model for row in scored if _inverted(row, better, column.key))
                if praised:
                    groups.setdefault((better.model, praised), []).append(column)
    said = [_words(table, better, praised, columns) for (better, praised), columns in groups.items()]
    return f"{CLAIM}: contradicted. {'; '.join(said)}." if said else ""


def _inverted(praised: Row, better: Row, parzen: str) -> bool:
    low, high = better.cells.get(HEADLINE), praised.cells.get(HEADLINE)
    if low is None or high is None or low.kind not in (*VALUES, "lower_bound") or high.kind not in VALUES:
        return False
    return is_clear(praised.cells[parzen], better.cells[parzen]) and is_clear(low, high)


def _words(table: Table, better: str, praised: Sequence[str], columns: Sequence[Column]) -> str:
    rows = {row.model: row for row in table.rows}
    scores = columns[0].key
    names = _listed([column.label for column in columns])
    above = _listed([f"{name} ({_shown(rows[name].cells[scores])})" for name in praised])
    below = f"{better} ({_shown(rows[better].cells[scores])})"
    others = _listed([_shown(rows[name].cells[HEADLINE]) for name in praised])
    truth = f"{_shown(rows[better].cells[HEADLINE])} against {others} nats"
    verb = "ranks" if len(columns) == 1 else "rank"
    return f"{names} {verb} {above} above {below}, though {better} has the higher log-likelihood ({truth})"


def _shown(cell: Cell) -> str:
    """A cell's number, with its sign of kind only where that says something: not the heuristic's star."""
    return cell.plain.removeprefix("* ")


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
