"""Which records the regression check compares, and the keys that its baseline has them under."""

from __future__ import annotations

import pandas as pd

from dgmbench.metrics import Metric, declared
from dgmbench.reporting.records import CLASSIFIER, CONTROL, FAILURES


def metric_key(metric: str, unit: str, model: str = "", view: str = "") -> str:
    """A metric's key in baseline.json: `_bpd` appended for bits/dim; the classifier's also name the view."""
    key = f"{metric}_bpd" if unit == "bits_per_dim" else metric
    return f"{key}_{view}" if model == CLASSIFIER else key


def metric_of(key: str, model: str = "") -> tuple[Metric, str]:
    """The metric behind a key of baseline.json and its unit: bits/dim, or the first that is declared."""
    if model == CLASSIFIER:
        key = key.rpartition("_")[0]
    bits = key.endswith("_bpd")
    metric = declared(key.removesuffix("_bpd"))
    return metric, "bits_per_dim" if bits else metric.units[0]


def comparable_records(kept: pd.DataFrame) -> pd.DataFrame:
    """Headline records (of `headline_records`) with their `key`.

    Without timings, flags of failed seeds, counts, and what is hidden (floors, sizes, choices).
    """
    kept = kept[[_is_comparable(declared(str(metric))) for metric in kept["metric"]]]
    keys = [
        metric_key(*row)
        for row in zip(kept["metric"], kept["unit"], kept["model"], kept["view"], strict=True)
    ]
    return kept.assign(key=pd.Series(keys, index=kept.index, dtype=object))


def counts(kept: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    """Mean over seeds of every count (parameters, classes drawn), by data set, model and metric.

    Given headline records.
    """
    kept = kept[[declared(str(metric)).counts for metric in kept["metric"]]]
    found: dict[tuple[str, str, str], float] = {}
    for names, records in kept.groupby(["dataset", "model", "metric"], sort=False):
        dataset, model, metric = (str(name) for name in names)
        found[dataset, model, metric] = float(records["value"].mean())
    return found


def _is_comparable(metric: Metric) -> bool:
    return not (metric.timing or metric.failure or metric.counts or metric.hidden)


def is_trained(model: str) -> bool:
    """Whether records of this name are of a model's training, not the classifier's or a control's."""
    return model != CLASSIFIER and not model.startswith(CONTROL)


def diverged_counts(frame: pd.DataFrame) -> dict[tuple[str, str], int]:
    """How many seeds of each (data set, model) failed: diverged, collapsed, or could not be trained."""
    counts: dict[tuple[str, str], int] = {}
    flags = frame["metric"].isin(FAILURES) & (frame["value"] > 0)
    for dataset, model, flag in zip(frame["dataset"], frame["model"], flags, strict=True):
        counts[dataset, model] = counts.get((dataset, model), 0) + int(flag)
    return counts
