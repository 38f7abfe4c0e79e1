"""The answer on one data set and view: a row for each family, its numbers, and how they stand to the others'.

A family is represented by its first entry of the view in the settings, which was settled before any result;
further entries are variants. So no model is picked by its score (`dgmbench.claims.evidence`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from dgmbench.claims.comparison import LOAD
from dgmbench.claims.evidence import TASK, VIEWS, Evidence, representatives
from dgmbench.metrics import declared
from dgmbench.reporting.answer.aspects import (
    ASPECTS,
    DOWNSTREAM,
    LIKELIHOOD,
    MEMORISATION,
    QUALITY,
    Aspect,
    family_words,
)
from dgmbench.reporting.answer.standing import Standing, standings
from dgmbench.reporting.comparison.by_labels import CLASSIFIER
from dgmbench.reporting.comparison.cells import Cell, Column
from dgmbench.reporting.comparison.reference import Reference
from dgmbench.reporting.comparison.table import LABELS, Row, Table

RULE = (
    "Each family is represented by its first entry of this view in the settings, which was settled before "
    "any result; its other entries are variants, found in the tables below. A difference is clear if its "
    "interval lies off zero; the comparisons of one family in one column hold together with 95 % "
    "(Bonferroni), those of different families or columns do not. A number stands out if it is clearly "
    "better than every other. Likelihoods are compared by the tightest bound that both have. A lower bound "
    "may hide a better model, so that a family with a bound alone never counts as beaten in likelihood. The "
    "downstream error is that of a model's own classifier where it has one, which learns from images "
    "without labels too; elsewhere it is that of a linear probe of the model's features, marked probe. Of "
    f"timings, which depend on a machine's load, a factor of {LOAD:g} is added to the interval."
)


@dataclass
class Family:
    """A row of the answer.

    name: for readers. row: of its entry in the view's table. cells, published, standings: by aspect.
    """

    name: str
    row: Row
    cells: dict[str, Cell]
    published: dict[str, list[Reference]] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The answer on a data set and view. columns: of the aspects that some family has a number of."""

    dataset: str
    view: str
    columns: Mapping[str, Column]
    families: Sequence[Family]

    @property
    def has_one_seed(self) -> bool:
        """Whether every number is of a single seed."""
        return all(cell.n < 2 for family in self.families for cell in family.cells.values())

    @property
    def aspects(self) -> list[Aspect]:
        """The aspects with a column, in order."""
        return [aspect for aspect in ASPECTS if aspect.name in self.columns]


def answers(tables: Sequence[Table], frame: pd.DataFrame, families: Mapping[str, str]) -> list[Answer]:
    """An answer for each data set and view of images in `tables`, the view where every family meets first.

    frame: all records. families: of each entry, by name.
    """
    found = []
    for dataset in dict.fromkeys(table.dataset for table in tables):
        own = [table for table in tables if table.dataset == dataset]
        evidence = Evidence(dataset, own, frame, (), families)
        found += [answer(table, evidence) for view in VIEWS for table in own if table.view == view]
    return [each for each in found if each.families]


def answer(table: Table, evidence: Evidence) -> Answer:
    """The answer on one table of a view."""
    columns = _columns(table)
    entries = [row.model for row in evidence.rows(table.view)]
    rows = evidence.rows(table.view, list(representatives(entries, evidence.families)))
    families = [_family(row, columns, evidence) for row in rows]
    families = [family for family in families if _generates(family) or not family.row.cells]
    task = next((f.cells[DOWNSTREAM.name] for f in families if DOWNSTREAM.name in f.cells), None)
    if task:
        columns[DOWNSTREAM.name] = Column(task.metric, task.unit)
    shown = {a.name: columns[a.name] for a in ASPECTS if any(a.name in f.cells for f in families)}
    for family in families:
        family.standings = {
            aspect.name: standings(aspect, shown[aspect.name], family, families, evidence)
            for aspect in ASPECTS
            if aspect.name in shown and aspect.name in family.cells
        }
    return Answer(table.dataset, table.view, shown, families)


def _columns(table: Table) -> dict[str, Column]:
    by_key = {column.key: column for column in table.columns}
    found = {aspect.name: [by_key[key] for key in aspect.keys if key in by_key] for aspect in ASPECTS}
    return {name: columns[0] for name, columns in found.items() if columns}


def _family(row: Row, columns: Mapping[str, Column], evidence: Evidence) -> Family:
    cells = {name: row.cells[column.key] for name, column in columns.items() if column.key in row.cells}
    task = evidence.task(row.model)
    if task is not None:
        cells[DOWNSTREAM.name] = task.cell
    family = evidence.families.get(row.model, row.model)
    return Family(family_words(family), row, cells, _published(row, columns) | _errors(row, evidence))


def _errors(row: Row, evidence: Evidence) -> dict[str, list[Reference]]:
    """Errors of the final task that others report of a model that classifies itself."""
    own = evidence.row(LABELS, row.model)
    found = [each for each in (own.published if own else ()) if each.metric == f"{CLASSIFIER}_{TASK}"]
    return {DOWNSTREAM.name: found} if found else {}


def _published(row: Row, columns: Mapping[str, Column]) -> dict[str, list[Reference]]:
    """Figures that others report, by the aspect that they are of: a likelihood's bounds are of one."""
    found: dict[str, list[Reference]] = {}
    for reference in row.published:
        metric = declared(reference.metric)
        if metric.tightness is not None:
            found.setdefault(LIKELIHOOD.name, []).append(reference)
        for name, column in columns.items():
            if name != LIKELIHOOD.name and column.metric == metric.name:
                found.setdefault(name, []).append(reference)
    return found


def _generates(family: Family) -> bool:
    """Whether it is a generative model; a classifier of labels has errors and costs alone."""
    return any(aspect.name in family.cells for aspect in (LIKELIHOOD, QUALITY, MEMORISATION))
