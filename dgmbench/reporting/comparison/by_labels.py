"""The final task: test error by the number of labels, of every classifier and every probe of features.

One table of a data set over all its views: an error in percent is on one scale whatever the model sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from dgmbench.reporting.comparison.cells import Cell, Column, SeedPoints, summarised
from dgmbench.reporting.comparison.failed import failure_notes, finished
from dgmbench.reporting.comparison.footnotes import published_notes
from dgmbench.reporting.comparison.label_notes import ALL, Members, Settings, in_words, label_notes, size
from dgmbench.reporting.comparison.paired import mark_best
from dgmbench.reporting.comparison.published import fits, references
from dgmbench.reporting.comparison.table import LABELS, Row, Table
from dgmbench.reporting.records import RunPoints, headline_records, is_compared, points_of
from dgmbench.reporting.run_files import Run

CLASSIFIER = "ssl_error"
# What reads the classes, by the metric of its error.
READERS = {
    CLASSIFIER: "",
    "probe_error": "linear probe",
    "knn_error": "k-NN of features",
    "svm_error": "L2-SVM of features",
}


@dataclass(frozen=True)
class Reading:
    """What an entry was measured by, or, where all its seeds failed, was to be measured by."""

    entry: str
    reader: str
    count: str


def read_by(metric: str) -> tuple[str, str] | None:
    """The reader (a key of `READERS`) and the number of labels, or `all`, of a metric; None for any other."""
    reader, _, count = metric.rpartition("_")
    return (reader, count) if reader in READERS and (count == ALL or count.isdigit()) else None


def row_name(reading: Reading, others: Sequence[Reading]) -> str:
    """What a row is called: the method that classifies, or the model with what reads its features.

    A method is the entry without the number of its labels: `m1_m2_20` with 20 labels is `m1_m2`, unless
    there is an entry `m1_m2` of 20 labels among `others`.
    """
    if READERS[reading.reader]:
        return f"{reading.entry}, {READERS[reading.reader]}"
    method = reading.entry.removesuffix(f"_{reading.count}")
    return reading.entry if replace(reading, entry=method) in others else method


def by_labels_of(row: Row) -> dict[str, Cell]:
    """The cells of a row by number of labels, in the order of the columns."""
    found = {str((read_by(cell.metric) or ("", ""))[1]): cell for cell in row.cells.values()}
    return dict(sorted(found.items(), key=lambda item: size(item[0])))


def by_labels(
    frame: pd.DataFrame,
    dataset: str,
    manifest: Mapping[str, Any] | None = None,
    points: RunPoints | None = None,
    runs: Sequence[Run] = (),
) -> Table | None:
    """The table of a data set, rows by the error at the number of labels that most have; None without any.

    frame: all records. points: values by test image. runs: their settings are noted, and tell how many labels
    an entry has whose seeds all failed.
    """
    part = headline_records(frame[(frame["dataset"] == dataset) & is_compared(frame["model"])])
    settings = {run.model: run.info.get("settings") or {} for run in runs if run.dataset == dataset}
    readings = _readings(part, settings)
    rows: dict[str, Row] = {}
    members: Members = {}
    for reading in readings:
        name = row_name(reading, readings)
        row = rows.setdefault(name, Row(name, is_probe=bool(READERS[reading.reader])))
        members.setdefault(name, {})[reading.count] = reading.entry
        own = part[part["model"] == reading.entry]
        if not row.is_probe:
            row.published = references(dataset, str(own["view"].iloc[0]), name)
        _fill(row, reading, own, points_of(points or {}, dataset, reading.entry))
    for name, row in rows.items():
        row.note = _failures(members[name], part)
        row.entries = tuple(dict.fromkeys(members[name].values()))
    counts = [count for row in rows.values() for count in by_labels_of(row)]
    return _table(dataset, list(rows.values()), counts, members, settings, manifest) if counts else None


def _readings(part: pd.DataFrame, settings: Settings) -> list[Reading]:
    """What there are records of, by entry; of one without, what its settings promise of a classifier."""
    found = []
    for model, records in part.groupby("model", sort=False):
        read = [read_by(str(metric)) for metric in records["metric"].unique()]
        own = [Reading(str(model), *each) for each in read if each]
        if not own and "labels" in settings.get(str(model), {}):
            own = [Reading(str(model), CLASSIFIER, str(settings[str(model)]["labels"] or ALL))]
        found += own
    return found


def _fill(row: Row, reading: Reading, records: pd.DataFrame, points: SeedPoints) -> None:
    """Put what was measured into its cell, given all records of the entry."""
    kept, _ = finished(records)
    own = kept[kept["metric"] == f"{reading.reader}_{reading.count}"]
    if len(own):
        # One key for all readers: a column compares them.
        column = _column(reading.count)
        row.cells[column.key] = replace(summarised(own, points), metric=column.metric)


def _failures(entries: Mapping[str, str], part: pd.DataFrame) -> str:
    """How many seeds of a row's entries failed, with their numbers of labels where there are several."""
    own: dict[str, list[str]] = {}
    for count in sorted(entries, key=size):
        own.setdefault(entries[count], []).append(count)
    notes = {entry: finished(part[part["model"] == entry])[1] for entry in own}
    if len(own) == 1:
        return next(iter(notes.values()))
    return "; ".join(f"{in_words(counts)}: {notes[entry]}" for entry, counts in own.items() if notes[entry])


def _table(
    dataset: str,
    rows: list[Row],
    counts: Sequence[str],
    members: Members,
    settings: Settings,
    manifest: Mapping[str, Any] | None,
) -> Table:
    columns = [_column(count) for count in sorted(set(counts), key=size)]
    for column in columns:
        mark_best(column, rows)
    for row in rows:
        row.published = [reference for reference in row.published if fits(reference, columns)]
    usual = _column(max(counts, key=lambda count: (counts.count(count), -size(count)))).key
    ordered = sorted(rows, key=lambda row: _error(row, usual))
    splits = {} if manifest is None else manifest["splits"]
    words = "test error by number of labels"
    table = Table(dataset, LABELS, columns, ordered, words, int(splits.get("test", 0)))
    table.footnotes = [
        *label_notes(table, members, settings, splits.get("valid")),
        *failure_notes(ordered),
        *published_notes(table),
    ]
    return table


def _column(count: str) -> Column:
    return Column(f"{CLASSIFIER}_{count}", "percent")


def _error(row: Row, key: str) -> tuple[bool, float, str]:
    cell = row.cells.get(key)
    return cell is None, cell.mean if cell else 0.0, row.model
