"""What metrics are called in MLflow.

A name without a slash is a headline (`nats`, `fid`), so that these come first. All others stand under their
topic (`likelihood/elbo`, `quality/precision`), where MLflow makes a section of each. Learning curves keep
their split (`valid/loss`); half-widths of a parent's means are `half_width/<name>`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from dgmbench.metrics import Topic, declared
from dgmbench.reporting.comparison.cells import Cell, SeedPoints, summarised
from dgmbench.reporting.comparison.failed import finished
from dgmbench.reporting.headlines import FAILED, headlines
from dgmbench.reporting.records import headline_records

HALF_WIDTH = "half_width/"
_OWN = {topic.name.lower() for topic in Topic} | {HALF_WIDTH.rstrip("/")}


def is_final(name: str) -> bool:
    """Whether a metric of a stored run is of its results, not a learning curve."""
    return name.partition("/")[0] in _OWN or "/" not in name


def metric_name(metric: str, unit: str) -> str:
    """`<topic>/<metric>`; a unit other than the metric's first is appended."""
    named = declared(metric)
    suffix = "" if unit == named.units[0] else f"_{unit}"
    return f"{named.topic.name.lower()}/{metric}{suffix}"


def final_metrics(results: pd.DataFrame) -> dict[str, float]:
    """The results of one seed; the split is appended where it is not test and there is a test split too.

    Headlines are rounded, so that a table of runs can be read; in full they stand under their topic.
    """
    values = {name: value for found in headlines(results) for name, value in found.flat().items()}
    for metric, unit, split, value in zip(
        results["metric"], results["unit"], results["split"], results["value"], strict=True
    ):
        name = metric_name(str(metric), str(unit))
        values[f"{name}_{split}" if name in values and split != "test" else name] = float(value)
    return values


def mean_metrics(results: pd.DataFrame, points: SeedPoints) -> dict[str, float]:
    """Means over the seeds of a model that finished, and half of each 95 % interval over trainings."""
    found = list(headlines(results))
    cells = {name: cell for own in found for name, cell in own.cells.items()}
    kept, _ = finished(headline_records(results))
    for (metric, unit), records in kept.groupby(["metric", "unit"], sort=False):
        cells[metric_name(str(metric), str(unit))] = summarised(records, points)
    means = {name: cell.mean for name, cell in cells.items()}
    shown = {name: value for own in found for name, value in own.flat().items()}
    return {FAILED: 0.0} | means | _half_widths(cells.items()) | shown


def _half_widths(cells: Iterable[tuple[str, Cell]]) -> dict[str, float]:
    """One seed has none; one that is not finite is no number that every store takes."""
    return {
        f"{HALF_WIDTH}{name}": cell.half_width
        for name, cell in cells
        if cell.half_width is not None and math.isfinite(cell.half_width)
    }
