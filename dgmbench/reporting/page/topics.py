"""The tables of a view by topic as grids of the page."""

from __future__ import annotations

from dgmbench.metrics import declared
from dgmbench.reporting.comparison.cells import Column
from dgmbench.reporting.comparison.table import Row, Section, Table
from dgmbench.reporting.page.grid import GAP, Entry, Grid, Head, Line, run_anchor
from dgmbench.reporting.page.places import row_anchor
from dgmbench.reporting.page.shown import entry_of
from dgmbench.reporting.run_files import Run
from dgmbench.reporting.words import of_examples

PUBLISHED = "figures that others report, see the notes to the tables"


class Runs:
    """The first run of every entry of a data set, to which a row of a table leads."""

    def __init__(self, runs: list[Run]) -> None:
        self._first: dict[tuple[str, str], str] = {}
        for run in runs:
            place = run_anchor(run.dataset, run.model, run.seed)
            self._first.setdefault((run.dataset, run.model), place)

    def href(self, dataset: str, *entries: str) -> str:
        """Where the first run of the first of these entries stands that there are runs of; empty for none."""
        found = (self._first.get((dataset, entry)) for entry in entries)
        return next((f"#{place}" for place in found if place), "")


def topic_grids(table: Table, runs: Runs) -> list[tuple[Section, Grid]]:
    """Each section of a table with its grid."""
    return [(section, _grid(table, section, runs)) for section in table.sections]


def glossary(table: Table) -> list[tuple[str, str]]:
    """What the columns of a table mean: heading and text."""
    texts = [(column.heading, declared(column.metric).text) for column in table.columns]
    return [(heading, of_examples(text, table.view)) for heading, text in texts if text]


def head_of(column: Column, view: str) -> Head:
    """The head of a column, with its unit and what it means."""
    text = declared(column.metric).text or declared(column.metric).label
    return Head(
        column.title,
        of_examples(column.unit_words, view),
        of_examples(text, view),
        metric=column.metric,
        unit_name=column.unit,
    )


def model_entry(dataset: str, row: Row, runs: Runs, name: str = "") -> Entry:
    """The heading of a row: the model, which leads to its first run, and how many of its seeds failed."""
    href = runs.href(dataset, *row.trained)
    title = f"runs of {', '.join(row.trained)}" if href else ""
    return Entry(name or row.model, title=title, note=row.note, href=href)


def _grid(table: Table, section: Section, runs: Runs) -> Grid:
    heads = [Head("model", is_text=True), *(head_of(column, table.view) for column in section.columns)]
    heads += [Head("published", help=PUBLISHED, is_text=True)] * section.published
    lines = [_line(table, section, row, runs) for row in table.rows_of(section)]
    name = f"{table.dataset}-{table.view}-{section.anchor}"
    return Grid(name, f"{section.title}, {table.dataset}, {table.view} view", heads, lines)


def _line(table: Table, section: Section, row: Row, runs: Runs) -> Line:
    entries = [entry_of(row.cells.get(column.key), column) for column in section.columns]
    if section.published:
        text = table.published_text(row, section)
        entries.append(Entry(text) if text else GAP)
    return Line(model_entry(table.dataset, row, runs), entries, row_anchor(table, section, row))
