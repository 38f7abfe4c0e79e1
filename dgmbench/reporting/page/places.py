"""Where in the page the row of a model stands that holds a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dgmbench.reporting.comparison.table import LABELS, Row, Section, Table
from dgmbench.reporting.page.grid import anchor


def row_anchor(table: Table, section: Section, row: Row) -> str:
    """The place of a row of a table's section."""
    return anchor("row", table.dataset, table.view, section.anchor, row.model)


@dataclass(frozen=True)
class Places:
    """Anchors of rows by (data set, view, entry, metric); the metric is empty for an entry's first row."""

    rows: Mapping[tuple[str, str, str, str], str]

    @classmethod
    def of(cls, tables: Sequence[Table]) -> Places:
        """The places of all rows that the page has."""
        found: dict[tuple[str, str, str, str], str] = {}
        for table in tables:
            for section in table.sections:
                for row in table.rows_of(section):
                    place = row_anchor(table, section, row)
                    for name in dict.fromkeys((row.model, *row.trained)):
                        for metric in ("", *_metrics(row, section)):
                            found.setdefault((table.dataset, table.view, name, metric), place)
        return cls(found)

    def row(self, dataset: str, view: str, model: str, metrics: Sequence[str] = ()) -> str:
        """The row of an entry with the first of `metrics` that it has; its first row; or none, empty.

        Errors by labels are of no single view.
        """
        keys = [(dataset, own, model, metric) for metric in (*metrics, "") for own in (view, LABELS)]
        return next((self.rows[key] for key in keys if key in self.rows), "")


def _metrics(row: Row, section: Section) -> list[str]:
    """The metrics of a row's cells in a section, by the names of their columns and of their records."""
    there = [column for column in section.columns if column.key in row.cells]
    return [name for column in there for name in (column.metric, row.cells[column.key].metric)]
