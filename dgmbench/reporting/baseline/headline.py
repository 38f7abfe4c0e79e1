"""The headline means behind `dvc metrics diff` and the regression check."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from dgmbench.files import write_json
from dgmbench.metrics import Metric, declared
from dgmbench.reporting.records import CLASSIFIER, CONTROL, FAILURES, headline_records

# More digits would show float noise between machines as a difference; fewer would hide small ones.
SIGNIFICANT_DIGITS = 6

Headline = dict[str, dict[str, dict[str, float]]]


def metric_key(metric: str, unit: str, model: str = "", view: str = "") -> str:
    """A metric's key in metrics.json: `_bpd` appended for bits/dim; the classifier's also name the view."""
    key = f"{metric}_bpd" if unit == "bits_per_dim" else metric
    return f"{key}_{view}" if model == CLASSIFIER else key


def metric_of(key: str, model: str = "") -> tuple[Metric, str]:
    """The metric behind a key of metrics.json and its unit: bits/dim, or the first that it is declared in."""
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


def headline_metrics(frame: pd.DataFrame) -> Headline:
    """`{dataset: {model: {metric: mean over seeds}}}`, six significant digits.

    Gray likelihoods are in nats under their own name and in bits/dim under `<name>_bpd`. Timings are left
    out, since they differ between two runs of one commit; `diverged_seeds` counts the seeds that diverged
    or collapsed and is always there, so that a difference in it shows. The parts of a control are listed with
    the models, as `control/<control>/<subject>`; they are carried out, not trained, and cannot diverge.
    """
    nested: Headline = {}
    for (dataset, model), count in diverged_counts(frame).items():
        nested.setdefault(dataset, {})[model] = {"diverged_seeds": count} if is_trained(model) else {}
    for names, records in comparable_records(headline_records(frame)).groupby(
        ["dataset", "model", "key"], sort=False
    ):
        dataset, model, key = (str(name) for name in names)
        nested[dataset][model][key] = rounded(float(records["value"].mean()))
    return nested


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


def rounded(value: float, digits: int = SIGNIFICANT_DIGITS) -> float:
    """`value` to so many significant digits; whole numbers up to 2^53 keep all of theirs."""
    if not math.isfinite(value) or value == int(value):
        return value + 0.0  # -0.0 becomes 0.0
    return float(f"{value:.{digits}g}")


def write_metrics(frame: pd.DataFrame, path: Path) -> None:
    """Write `headline_metrics(frame)` as JSON (NaN is refused: a diverged run has no headline)."""
    write_json(path, headline_metrics(frame))
