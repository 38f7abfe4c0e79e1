"""Invented errors by number of labels, and their table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from dgmbench.reporting.comparison.by_labels import by_labels
from dgmbench.reporting.comparison.table import Table
from dgmbench.reporting.run_files import Run
from dgmbench.results import Record

FAILED = float("nan")


def records(errors: dict[tuple[str, str], list[float]], dataset: str = "mnist") -> pd.DataFrame:
    """Errors by (model, metric), one for each seed; a failed seed has a record of that alone."""
    found: list[dict[str, Any]] = []
    for (model, metric), values in errors.items():
        for seed, value in enumerate(values):
            one = Record(dataset, "gray", model, seed, metric, value, 0.1, 100, "percent", "exact", "test",
                         0.0, "cpu")  # fmt: skip
            failure = {"metric": "diverged", "value": 1.0, "unit": "1", "split": "train"}
            found.append(vars(one) | (failure if value != value else {}))
    return pd.DataFrame(found)


def table_of(errors: dict[tuple[str, str], list[float]], **settings: dict[str, Any]) -> Table:
    """The table of errors by (model, metric); settings: of the entries that have a run."""
    runs = [Run("mnist", model, 0, {"view": "gray", "settings": own}, Path()) for model, own in
            settings.items()]  # fmt: skip
    table = by_labels(records(errors), "mnist", {"splits": {"test": 100, "valid": 50}}, runs=runs)
    assert table is not None
    return table


def as_cross_entropies(errors: dict[tuple[str, str], list[float]]) -> pd.DataFrame:
    """The same records of another metric, one of the table of a view."""
    other = {metric: "test_cross_entropy" for _, metric in errors}
    return records(errors).replace(other | {"percent": "nats"})
