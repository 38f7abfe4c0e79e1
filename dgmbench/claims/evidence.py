"""What a run left that claims are judged by: rows by family, findings of controls, records.

A family is represented in a view by its first entry in the settings, which was settled before any result;
further entries of it are variants. So no model is picked by its score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from dgmbench.reporting.comparison.by_labels import CLASSIFIER, READERS
from dgmbench.reporting.comparison.cells import Cell
from dgmbench.reporting.comparison.table import LABELS, Row, Table
from dgmbench.reporting.findings import ControlFinding
from dgmbench.reporting.records import FAILURES

# Families by the lecture's names. Semi-supervised and conditional models have labels and stand apart.
VAES = ("vae", "iwae")
GANS = ("gan", "dcgan")
PIXELRNNS = ("pixelcnn", "gated_pixelcnn", "row_lstm", "diagonal_bilstm")
AUTOENCODERS = ("autoencoder",)
INDEPENDENT = ("independent",)

# Views of images, the one where every family meets first.
VIEWS = ("gray", "binary")
# Labels of the final task that claims are judged at.
TASK = 100


@dataclass(frozen=True)
class Score:
    """A number of a model in one metric."""

    model: str
    cell: Cell


@dataclass(frozen=True)
class Evidence:
    """Of one data set: its tables, all records, its controls' findings, the family of each entry."""

    dataset: str
    tables: Sequence[Table]
    frame: pd.DataFrame
    findings: Sequence[ControlFinding]
    families: Mapping[str, str]

    def rows(self, view: str, families: Sequence[str] | None = None) -> list[Row]:
        """The representatives of families (None: every row, ways of sampling left out) in a view."""
        rows = [row for row in self._rows_of(view) if "/" not in row.model]
        if families is None:
            return rows
        by_name = {row.model: row for row in rows}
        first = representatives(by_name, self.families)
        return [by_name[first[family]] for family in families if family in first]

    def row(self, view: str, model: str) -> Row | None:
        """The row of an entry, or of a way of sampling `<entry>/<way>`."""
        return next((row for row in self._rows_of(view) if row.model == model), None)

    def scores(self, view: str, families: Sequence[str], *keys: str) -> list[Score]:
        """Of the representatives in a view: each one's cell in the first of the columns that it has."""
        found = ((row.model, _first(row, keys)) for row in self.rows(view, families))
        return [Score(model, cell) for model, cell in found if cell is not None]

    def probe(self, model: str) -> Score | None:
        """Test error of a linear probe of an entry's features, at `TASK` labels."""
        return self._task(model, f"{model}, {READERS['probe_error']}", f"probe_error_{TASK}")

    def task(self, model: str) -> Score | None:
        """Test error of the final task at `TASK` labels: an entry's own classifier's, else its probe's."""
        return self._task(model, model, f"{CLASSIFIER}_{TASK}") or self.probe(model)

    def finding(self, control: str) -> ControlFinding | None:
        """What a control found; None where it was not carried out."""
        return next((found for found in self.findings if found.control == control), None)

    def records(self, families: Sequence[str]) -> pd.DataFrame:
        """All records of the entries of families, in every view."""
        names = [name for name, family in self.families.items() if family in families]
        return self.frame[(self.frame["dataset"] == self.dataset) & self.frame["model"].isin(names)]

    def failed(self, families: Sequence[str]) -> list[str]:
        """`<entry>, seed 3` for each training of these families that diverged or collapsed."""
        own = self.records(families)
        failed = own[own["metric"].isin(set(FAILURES) - {"unavailable"}) & (own["value"] > 0)]
        return [f"{model}, seed {seed}" for model, seed in zip(failed["model"], failed["seed"], strict=True)]

    def devices(self, metric: str, *models: str) -> set[str]:
        """Devices on which a metric of entries was measured."""
        frame = self.frame
        own = frame[(frame["dataset"] == self.dataset) & (frame["metric"] == metric)]
        own = own[own["model"].isin(models)]
        return set(own["device"].dropna().astype(str))

    def _rows_of(self, view: str) -> list[Row]:
        return [row for table in self.tables if table.view == view for row in table.rows]

    def _task(self, model: str, name: str, metric: str) -> Score | None:
        row = self.row(LABELS, name)
        cell = row and row.cells.get(f"{CLASSIFIER}_{TASK} [percent]")
        # The table of errors keeps all readers under one key; a card names the metric of the record.
        return Score(model, replace(cell, metric=metric)) if cell else None


def representatives(entries: Iterable[str], families: Mapping[str, str]) -> dict[str, str]:
    """By family, the first of the entries of a view, given in the order of the settings."""
    found: dict[str, str] = {}
    for entry in entries:
        found.setdefault(families.get(entry, entry), entry)
    return found


def _first(row: Row, keys: Sequence[str]) -> Cell | None:
    return next((row.cells[key] for key in keys if key in row.cells), None)
