"""The final task: test error by the number of labels, of every classifier and every probe of features.

One table of a data set over all its views: an error in percent is on one scale whatever the model sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from dgmbench.reporting.comparison.cells import Cell, Column, summarised
from dgmbench.reporting.comparison.footnotes import published_notes
from dgmbench.reporting.comparison.paired import mark_best
from dgmbench.reporting.comparison.published import fits, references
from dgmbench.reporting.comparison.table import LABELS, Row, Table
from dgmbench.reporting.records import RunPoints, is_compared, points_of

# What reads the classes, by the metric of its error.
READERS = {
    "ssl_error": "",
    "probe_error": "linear probe",
    "knn_error": "k-NN of features",
    "svm_error": "L2-SVM of features",
}
ALL = "all"


def read_by(metric: str) -> tuple[str, str] | None:
    """The reader (a key of `READERS`) and the number of labels, or `all`, of a metric; None for any other."""
    reader, _, count = metric.rpartition("_")
    return (reader, count) if reader in READERS and (count == ALL or count.isdigit()) else None


def method_of(model: str, count: str) -> str:
    """A model entry without the number of its labels: `m1_m2_20` with 20 labels is the method `m1_m2`."""
    return model.removesuffix(f"_{count}")


def row_name(method: str, reader: str) -> str:
    """What a row is called: the method that classifies, or the model with what reads its features."""
    return f"{method}, {READERS[reader]}" if READERS[reader] else method


def by_labels_of(row: Row) -> dict[str, Cell]:
    """The cells of a row by number of labels, in the order of the columns."""
    found = {str((read_by(cell.metric) or ("", ""))[1]): cell for cell in row.cells.values()}
    return dict(sorted(found.items(), key=lambda item: _size(item[0])))


def by_labels(
    frame: pd.DataFrame,
    dataset: str,
    manifest: Mapping[str, Any] | None = None,
    points: RunPoints | None = None,
) -> Table | None:
    """The table of a data set, rows by the error at the number of labels that most have; None without any.

    frame: all records. points: values by test image.
    """
    part = frame[(frame["dataset"] == dataset) & is_compared(frame["model"])]
    read = {str(metric): read_by(str(metric)) for metric in part["metric"].unique()}
    part = part[[read[str(metric)] is not None for metric in part["metric"]]]
    if part.empty:
        return None
    rows: dict[str, Row] = {}
    counts: dict[str, int] = {}
    for (model, metric), records in part.groupby(["model", "metric"], sort=False):
        reader, count = read[str(metric)] or ("", "")
        method = method_of(str(model), count)
        row = rows.setdefault(row_name(method, reader), Row(row_name(method, reader)))
        cell = summarised(records, points_of(points or {}, dataset, str(model)))
        # One key for all readers: a column compares them.
        row.cells[_column(count).key] = replace(cell, metric=_column(count).metric)
        counts[count] = counts.get(count, 0) + 1
        if not READERS[reader]:
            row.published = references(dataset, str(records["view"].iloc[0]), method)
    columns = [_column(count) for count in sorted(counts, key=_size)]
    for column in columns:
        mark_best(column, list(rows.values()))
    for row in rows.values():
        row.published = [reference for reference in row.published if fits(reference, columns)]
    usual = _column(max(counts, key=lambda count: (counts[count], -_size(count)))).key
    ordered = sorted(rows.values(), key=lambda row: _error(row, usual))
    test_images = 0 if manifest is None else int(manifest["splits"]["test"])
    table = Table(dataset, LABELS, columns, ordered, "test error by number of labels", test_images)
    table.footnotes = _notes(ordered) + published_notes(table)
    return table


def _column(count: str) -> Column:
    return Column(f"ssl_error_{count}", "percent")


def _size(count: str) -> float:
    return float("inf") if count == ALL else int(count)


def _error(row: Row, key: str) -> tuple[bool, float, str]:
    cell = row.cells.get(key)
    return cell is None, cell.mean if cell else 0.0, row.model


def _notes(rows: Sequence[Row]) -> list[str]:
    notes = [
        "Percent of test images in the wrong class. Each seed has a label set of its own, class-balanced and "
        "the same for all methods; a smaller set is part of a larger one. So the interval over trainings is "
        "over label sets too.",
        "Semi-supervised methods see all training images; labelled ones are among them, once more without "
        "their label.",
        "Epochs and settings are chosen on labelled validation images, never on test images.",
    ]
    if any(row.published for row in rows):
        notes.append(
            "Published figures: the code of Kingma et al. 2014 and of Salimans et al. 2016 reports the test "
            "error of its epochs and has no validation images."
        )
    return notes
