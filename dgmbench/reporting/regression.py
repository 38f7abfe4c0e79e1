"""Has a change made a number worse than retraining with other seeds would?

**Tolerance.** A difference of two means is held against t(0.9995, n1 + n2 - 2) s sqrt(1/n1 + 1/n2), where s
is the standard deviation pooled over the baseline's and the current seeds: the two-sided 99.9 % bound of the
two-sample t test. With three seeds an estimate of s is itself noisy; the t quantile (8.6 at four degrees of
freedom, against 3.3 for a known s) is exactly the allowance for that, and pooling both sides rather than
trusting the baseline's three seeds (31.6 at two degrees of freedom) keeps the check from going blind.
Models are not pooled with each other: a closed-form fit has no spread and a GAN has much. 99.9 % because
about a hundred numbers are checked each time: a false alarm in some thirty runs (worse side only), if the
seeds were drawn anew; on one machine they repeat exactly.

**Floor.** Closed-form models have s = 0, so a relative 0.1 % is always allowed: other BLAS builds and thread
counts differ by far less, and a difference that matters to a reader of the table is larger.

**Masking.** One collapsed seed shifts the mean but widens s still more. So a spread that an F test at 99.9 %
finds larger than the baseline's makes a worse mean a regression too.

With one seed on both sides no spread is known; 2 % is allowed and the finding says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import fdtri, stdtrit

from dgmbench.errors import SettingsError
from dgmbench.files import read_json, write_json
from dgmbench.reporting.metrics import comparable_records, diverged_counts, is_trained
from dgmbench.reporting.vocabulary import direction

FORMAT = 1
CONFIDENCE = 0.999
RELATIVE_FLOOR = 1e-3
BLIND_TOLERANCE = 0.02
Severity = Literal["regression", "better", "note"]
Baseline = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One thing the check has to say; only `regression` fails it."""

    severity: Severity
    dataset: str
    model: str
    metric: str
    message: str
    baseline: float | None = None
    current: float | None = None
    tolerance: float | None = None


def make_baseline(frame: pd.DataFrame) -> Baseline:
    """Mean, standard deviation, number of seeds and direction of every metric, timings left out."""
    models: dict[str, dict[str, Any]] = {}
    for (dataset, model), count in diverged_counts(frame).items():
        entry: dict[str, Any] = {"metrics": {}}
        if is_trained(model):
            entry["diverged_seeds"] = count
        models.setdefault(dataset, {})[model] = entry
    for (dataset, model, key), records in _groups(frame):
        models[dataset][model]["metrics"][key] = _summary(records)
    return {"format": FORMAT, "datasets": models}


def write_baseline(frame: pd.DataFrame, path: Path) -> None:
    """Write `make_baseline(frame)` as JSON."""
    write_json(path, make_baseline(frame))


def read_baseline(path: Path) -> Baseline:
    """Read a baseline file. Raises `SettingsError` when it is missing or of another format."""
    if not Path(path).exists():
        raise SettingsError(f"{path} is missing; make it from a run that you trust")
    baseline = read_json(path)
    if not isinstance(baseline, dict) or baseline.get("format") != FORMAT:
        raise SettingsError(f"{path} is not a baseline of format {FORMAT}; make it anew")
    return baseline


def compare(frame: pd.DataFrame, baseline: Baseline) -> list[Finding]:
    """All findings, regressions first; an empty list means that nothing differs beyond tolerance."""
    current = make_baseline(frame)["datasets"]
    expected = baseline["datasets"]
    findings: list[Finding] = []
    for dataset, models in expected.items():
        for model, entry in models.items():
            findings += _compare_model(dataset, model, entry, current.get(dataset, {}).get(model))
    findings += _unknown_models(expected, current)
    rank = {"regression": 0, "better": 1, "note": 2}
    return sorted(findings, key=lambda finding: rank[finding.severity])


def regressions(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that fail the check."""
    return [finding for finding in findings if finding.severity == "regression"]


def format_findings(findings: Sequence[Finding]) -> str:
    """A plain-text table of findings, one a line, for a terminal or a CI log."""
    if not findings:
        return "No metric differs from the baseline beyond its tolerance."
    head = ("", "data set", "model", "metric", "baseline", "now", "allowed", "what")
    rows = [head, *(_cells(finding) for finding in findings)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head) - 1)]
    lines = [
        "  ".join([*(c.ljust(w) for c, w in zip(row[:-1], widths, strict=True)), row[-1]]).rstrip()
        for row in rows
    ]
    count = len(regressions(findings))
    return "\n".join([*lines, f"{count} regression{'' if count == 1 else 's'}."])


def _cells(finding: Finding) -> tuple[str, ...]:
    numbers = (finding.baseline, finding.current, finding.tolerance)
    shown = ["–" if value is None else f"{value:.6g}" for value in numbers]
    return (
        finding.severity.upper(), finding.dataset, finding.model, finding.metric, *shown, finding.message,
    )  # fmt: skip


def _groups(frame: pd.DataFrame) -> Any:
    return comparable_records(frame).groupby(["dataset", "model", "key"], sort=False)


def _summary(records: pd.DataFrame) -> dict[str, Any]:
    values = records["value"].to_numpy(dtype=float)
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    way = direction(str(records["metric"].iloc[0]), str(records["unit"].iloc[0]))
    return {"mean": float(values.mean()), "sd": spread, "n": len(values), "direction": way}


def _compare_model(
    dataset: str, model: str, expected: dict[str, Any], current: dict[str, Any] | None
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
            findings += compare_metric(dataset, model, metric, before, now)
    for metric in current["metrics"].keys() - expected["metrics"].keys():
        mean = current["metrics"][metric]["mean"]
        findings.append(Finding("note", dataset, model, metric, "new: not in the baseline", None, mean))
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
    dataset: str, model: str, metric: str, before: dict[str, Any], now: dict[str, Any]
) -> list[Finding]:
    """Findings on one metric, given two summaries (`mean`, `sd`, `n`, and the baseline's `direction`)."""
    allowed, basis = tolerance(before, now)
    loss = _loss(before["direction"], before["mean"], now["mean"])
    numbers = (before["mean"], now["mean"], allowed)
    if not math.isfinite(now["mean"]):
        return [Finding("regression", dataset, model, metric, "not a finite number", *numbers)]
    widened = _spread_grew(before, now) and before["direction"] != "none"
    if widened and loss > RELATIVE_FLOOR * abs(before["mean"]):
        message = "worse, and the seeds disagree far more than they did (one may have collapsed)"
        return [Finding("regression", dataset, model, metric, message, *numbers)]
    if abs(loss) <= allowed:
        return _fewer_seeds(dataset, model, metric, before, now)
    if before["direction"] == "none":
        return [Finding("note", dataset, model, metric, f"changed ({basis})", *numbers)]
    if loss > 0:
        return [Finding("regression", dataset, model, metric, f"worse ({basis})", *numbers)]
    message = f"better than baseline: look why ({basis})"
    return [Finding("better", dataset, model, metric, message, *numbers)]


def _fewer_seeds(
    dataset: str, model: str, metric: str, before: dict[str, Any], now: dict[str, Any]
) -> list[Finding]:
    if now["n"] >= before["n"]:
        return []
    message = f"{now['n']} seeds instead of {before['n']}"
    return [Finding("note", dataset, model, metric, message, before["mean"], now["mean"])]


def tolerance(before: dict[str, Any], now: dict[str, Any]) -> tuple[float, str]:
    """The largest difference of means put down to seeds, and in words where it comes from."""
    floor = RELATIVE_FLOOR * abs(before["mean"]) + 1e-9
    freedom = before["n"] + now["n"] - 2
    if freedom < 1:
        return BLIND_TOLERANCE * abs(before["mean"]) + 1e-9, "one seed: 2 % allowed"
    squares = sum((s["n"] - 1) * (s["sd"] or 0.0) ** 2 for s in (before, now))
    quantile = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))
    seeds = quantile * math.sqrt(squares / freedom) * math.sqrt(1 / before["n"] + 1 / now["n"])
    if not math.isfinite(seeds) or seeds <= floor:
        return floor, "0.1 % allowed"
    return seeds, f"{before['n']} and {now['n']} seeds, 99.9 %"


def _loss(way: str, before: float, now: float) -> float:
    """How much worse `now` is, negative when better; the plain difference where no way is better."""
    if way == "one":
        return abs(now - 1) - abs(before - 1)
    return before - now if way == "higher" else now - before


def _spread_grew(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """One-sided F test of the variances at 99.9 %; the floor stands in for a baseline without spread."""
    if before["n"] < 2 or now["n"] < 2:
        return False
    base = max(before["sd"], RELATIVE_FLOOR * abs(before["mean"]), 1e-9)
    return bool((now["sd"] / base) ** 2 > fdtri(now["n"] - 1, before["n"] - 1, CONFIDENCE))


def _unknown_models(expected: dict[str, Any], current: dict[str, Any]) -> list[Finding]:
    return [
        Finding("note", dataset, model, "–", "new: not in the baseline")
        for dataset, models in current.items()
        for model in models
        if model not in expected.get(dataset, {})
    ]
