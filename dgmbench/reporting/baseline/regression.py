"""Whether a number became worse by more than machine and seeds explain; see `tolerance.py`.

Floors, numbers of images and what was chosen on validation images are not compared. Parameters and classes
drawn are counts: a change of theirs is noted. A seed that diverges or collapses, a model or a metric that is
missing, and a value that is not finite are regressions whatever the machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from dgmbench.metrics import declared
from dgmbench.reporting.baseline.compared import (
    comparable_records,
    counts,
    diverged_counts,
    is_trained,
    metric_of,
)
from dgmbench.reporting.baseline.tolerance import level_of, tolerance

FORMAT = 2
NEW = "new: not in the baseline"
Severity = Literal["regression", "better", "note", "within"]
Baseline = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One difference that the check reports; only `regression` fails it, and `within` is within tolerance.

    change: what was held against the tolerance, where that is not `current - baseline`.
    """

    severity: Severity
    dataset: str
    model: str
    metric: str
    message: str
    baseline: float | None = None
    current: float | None = None
    tolerance: float | None = None
    change: float | None = None

    @property
    def intervals(self) -> float | None:
        """The change over what is allowed for machine and seeds, so that 1 is the limit; None without."""
        if self.baseline is None or self.current is None or not self.tolerance:
            return None
        change = self.current - self.baseline if self.change is None else self.change
        return change / self.tolerance


def make_baseline(frame: pd.DataFrame) -> Baseline:
    """Mean, standard deviation, number of seeds and direction of every metric, and counts; no timings.

    Given headline records, as `read_results` returns them.
    """
    models: dict[str, dict[str, Any]] = {}
    for (dataset, model), count in diverged_counts(frame).items():
        entry: dict[str, Any] = {"metrics": {}, "counts": {}}
        if is_trained(model):
            entry["diverged_seeds"] = count
        models.setdefault(dataset, {})[model] = entry
    for (dataset, model, key), records in _groups(frame):
        models[dataset][model]["metrics"][key] = _summary(records)
    for (dataset, model, metric), value in counts(frame).items():
        models[dataset][model]["counts"][metric] = value
    return {"format": FORMAT, "datasets": models}


def compare(frame: pd.DataFrame, baseline: Baseline, *, within: bool = False) -> list[Finding]:
    """All findings on headline records, regressions first; none: nothing differs beyond tolerance.

    within: report what differs within tolerance too.
    """
    current = make_baseline(frame)["datasets"]
    expected = baseline["datasets"]
    findings: list[Finding] = []
    level = level_of(sum(summary["direction"] != "none" for summary in _summaries(expected)))
    for dataset, models in expected.items():
        for model, entry in models.items():
            findings += _compare_model(dataset, model, entry, current.get(dataset, {}).get(model), level)
    findings += _unknown_models(expected, current)
    found = [finding for finding in findings if within or finding.severity != "within"]
    return sorted(found, key=lambda finding: get_args(Severity).index(finding.severity))


def regressions(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that fail the check."""
    return [finding for finding in findings if finding.severity == "regression"]


def _summaries(datasets: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for models in datasets.values():
        for entry in models.values():
            yield from entry["metrics"].values()


def _groups(frame: pd.DataFrame) -> Any:
    return comparable_records(frame).groupby(["dataset", "model", "key"], sort=False)


def _summary(records: pd.DataFrame) -> dict[str, Any]:
    values = records["value"].to_numpy(dtype=float)
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    way = declared(str(records["metric"].iloc[0])).direction(str(records["unit"].iloc[0]))
    return {"mean": float(values.mean()), "sd": spread, "n": len(values), "direction": way}


def _compare_model(
    dataset: str, model: str, expected: dict[str, Any], current: dict[str, Any] | None, level: float
) -> list[Finding]:
    if current is None:
        return [Finding("regression", dataset, model, "–", "the model is missing")]
    findings = _compare_divergence(dataset, model, expected, current)
    for metric, before in expected["metrics"].items():
        now = current["metrics"].get(metric)
        if now is None:
            findings.append(
                Finding("regression", dataset, model, metric, "the metric is missing", before["mean"])
            )
        else:
            findings += compare_metric(dataset, model, metric, before, now, level)
    for metric in sorted(current["metrics"].keys() - expected["metrics"].keys()):
        mean = current["metrics"][metric]["mean"]
        findings.append(Finding("note", dataset, model, metric, NEW, None, mean))
    for metric, before in expected["counts"].items():
        now = current["counts"].get(metric)
        if now is not None and not math.isclose(now, before, rel_tol=1e-6):
            findings.append(Finding("note", dataset, model, metric, "changed", before, now))
    return findings


def _compare_divergence(
    dataset: str, model: str, expected: dict[str, Any], current: dict[str, Any]
) -> list[Finding]:
    before, now = expected.get("diverged_seeds", 0), current.get("diverged_seeds", 0)
    if before == now:
        return []
    severity: Severity = "regression" if now > before else "better"
    message = "more seeds diverge" if now > before else "fewer seeds diverge"
    return [Finding(severity, dataset, model, "diverged_seeds", message, before, now)]


def compare_metric(
    dataset: str, model: str, metric: str, before: dict[str, Any], now: dict[str, Any], level: float
) -> list[Finding]:
    """Findings on one metric, given two summaries (`mean`, `sd`, `n`, and the baseline's `direction`).

    level: probability of a false alarm in this comparison; see `tolerance.level_of`.
    """
    named, unit = metric_of(metric, model)
    allowed, basis = tolerance(named.allowance(unit), before, now, level, trained=is_trained(model))
    numbers = (before["mean"], now["mean"], allowed)
    change, way = now["mean"] - before["mean"], before["direction"]
    if not math.isfinite(now["mean"]):
        return [Finding("regression", dataset, model, metric, "not a finite number", *numbers)]
    if way == "one":
        if _passes_one(before["mean"], now["mean"], allowed):
            message = f"from one side of 1 to the other (more than {basis})"
            return [Finding("note", dataset, model, metric, message, *numbers)]
        change = abs(now["mean"] - 1) - abs(before["mean"] - 1)
    found = Finding("within", dataset, model, metric, f"{basis} can do that", *numbers, change)
    if abs(change) <= allowed:
        fewer = _fewer_seeds(dataset, model, metric, before, now)
        return [*fewer, found] if now["mean"] != before["mean"] else fewer
    if way == "none":
        return [replace(found, severity="note", message=f"changed (more than {basis})")]
    if (change < 0) == (way == "higher"):
        return [replace(found, severity="regression", message=f"worse than {basis} can make it")]
    return [replace(found, severity="better", message=f"better than {basis} can make it: look why")]


def _passes_one(before: float, now: float, allowed: float) -> bool:
    """Whether a number went to the other side of 1 without being worse by its distance to 1.

    Too much and too little can be equally far from 1, yet one of them may be copying. What came so near to 1
    that it may as well be there is an improvement.
    """
    farther = abs(now - 1) - abs(before - 1)
    if (before - 1) * (now - 1) >= 0 or abs(now - before) <= allowed or farther > allowed:
        return False
    return abs(farther) <= allowed or abs(now - 1) > allowed


def _fewer_seeds(
    dataset: str, model: str, metric: str, before: dict[str, Any], now: dict[str, Any]
) -> list[Finding]:
    if now["n"] >= before["n"]:
        return []
    message = f"{now['n']} seeds instead of {before['n']}"
    return [Finding("note", dataset, model, metric, message, before["mean"], now["mean"])]


def _unknown_models(expected: dict[str, Any], current: dict[str, Any]) -> list[Finding]:
    return [
        Finding("note", dataset, model, "–", NEW)
        for dataset, models in current.items()
        for model in models
        if model not in expected.get(dataset, {})
    ]
