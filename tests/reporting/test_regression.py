"""The regression check: planted regressions are found, seed noise is not, nothing goes missing unseen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dgmbench.errors import SettingsError
from dgmbench.reporting.load import merge_results
from dgmbench.reporting.regression import (
    Finding,
    compare,
    compare_metric,
    format_findings,
    make_baseline,
    read_baseline,
    regressions,
    tolerance,
    write_baseline,
)


@pytest.fixture
def frame(invented: tuple[Path, dict[str, Any]]) -> pd.DataFrame:
    root, settings = invented
    return merge_results(
        root / "results", ["digits"], list(settings["models"]), controls=list(settings["controls"])
    )


def shifted(frame: pd.DataFrame, model: str, metric: str, by: float) -> pd.DataFrame:
    changed = frame.copy()
    changed.loc[(changed["model"] == model) & (changed["metric"] == metric), "value"] += by
    return changed


def failing(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.model, finding.metric) for finding in regressions(findings)]


def summary(mean: float, sd: float | None, n: int = 3, direction: str = "lower") -> dict[str, Any]:
    return {"mean": mean, "sd": sd, "n": n, "direction": direction}


def test_the_same_results_find_nothing(frame: pd.DataFrame) -> None:
    assert compare(frame, make_baseline(frame)) == []


@pytest.mark.parametrize(
    ("model", "metric", "worse"),
    [("vae", "elbo", -5.0), ("vae", "fid_domain", 3.0), ("ppca", "log_likelihood_parzen", -0.2)],
)
def test_a_planted_regression_is_found(frame: pd.DataFrame, model: str, metric: str, worse: float) -> None:
    baseline = make_baseline(frame)
    assert (model, metric) in failing(compare(shifted(frame, model, metric, worse), baseline))
    better = compare(shifted(frame, model, metric, -worse), baseline)
    assert not failing([f for f in better if f.metric == metric])
    assert any(f.severity == "better" and "look why" in f.message for f in better if f.metric == metric)


def test_a_control_that_changes_or_goes_missing_is_found(frame: pd.DataFrame) -> None:
    baseline, part = make_baseline(frame), "control/planted/truth"
    assert "diverged_seeds" not in baseline["datasets"]["digits"][part]
    changed = compare(shifted(frame, part, "log_likelihood_parzen", -3.0), baseline)
    assert failing(changed) == [(part, "log_likelihood_parzen")]
    assert failing(compare(frame[frame["model"] != part], baseline)) == [(part, "–")]


def test_other_seeds_are_not_a_regression() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(2000):
        before, now = rng.normal(20, 1, 3), rng.normal(20, 1, 3)
        found = compare_metric(
            "d", "m", "fid_domain",
            summary(float(before.mean()), float(before.std(ddof=1))),
            summary(float(now.mean()), float(now.std(ddof=1))),
        )  # fmt: skip
        alarms += bool(regressions(found))
    assert alarms <= 10  # 2000 x (0.05 % by the t test + at most 0.1 % by the F test), expectation 3


def test_tolerance_by_hand() -> None:
    # t(0.9995, 4) = 8.6103, pooled sd 1, sqrt(2/3)
    allowed, _ = tolerance(summary(20.0, 1.0), summary(20.0, 1.0))
    assert allowed == pytest.approx(8.6103 * (2 / 3) ** 0.5, rel=1e-4)


def test_float_noise_of_a_closed_form_model_is_allowed() -> None:
    assert compare_metric("d", "ppca", "x", summary(60.0, 0.0), summary(60.03, 0.0)) == []
    assert regressions(compare_metric("d", "ppca", "x", summary(60.0, 0.0), summary(60.2, 0.0)))


def test_one_collapsed_seed_does_not_hide_in_its_own_spread() -> None:
    now = np.array([20.0, 20.5, 500.0])
    found = compare_metric(
        "d", "gan", "fid_domain", summary(20.0, 0.5), summary(float(now.mean()), float(now.std(ddof=1)))
    )
    assert regressions(found)
    assert "collapsed" in found[0].message


def test_a_metric_whose_best_is_one() -> None:
    before = summary(0.98, 0.01, direction="one")
    assert regressions(compare_metric("d", "m", "nn", before, summary(0.5, 0.01)))
    assert not regressions(compare_metric("d", "m", "nn", before, summary(1.0, 0.01)))


def test_one_seed_says_so() -> None:
    found = compare_metric("d", "m", "x", summary(100.0, None, 1), summary(103.0, None, 1))
    assert regressions(found)
    assert "one seed" in found[0].message
    assert not compare_metric("d", "m", "x", summary(100.0, None, 1), summary(101.0, None, 1))


def test_missing_things_are_regressions_and_new_ones_notes(frame: pd.DataFrame) -> None:
    fewer = frame[(frame["model"] != "pixelcnn") & ~((frame["model"] == "vae") & (frame["metric"] == "elbo"))]
    found = compare(fewer, make_baseline(frame))
    assert sorted(failing(found)) == [("pixelcnn", "–"), ("vae", "elbo")]
    new = compare(frame, make_baseline(fewer))
    assert {f.severity for f in new} == {"note"}
    assert len(new) == 2


def test_more_divergence_is_a_regression(frame: pd.DataFrame) -> None:
    healthy = frame[frame["metric"] != "diverged"]
    assert ("gan", "diverged_seeds") in failing(compare(frame, make_baseline(healthy)))


def test_timings_are_ignored(frame: pd.DataFrame) -> None:
    slow = shifted(shifted(frame, "vae", "training_seconds", 1e4), "vae", "sampling_rate", -9e3)
    assert compare(slow, make_baseline(frame)) == []


def test_a_value_that_is_not_a_number_fails(frame: pd.DataFrame) -> None:
    found = compare(shifted(frame, "vae", "fid_domain", float("nan")), make_baseline(frame))
    assert ("vae", "fid_domain") in failing(found)


def test_parameters_that_change_are_noted(frame: pd.DataFrame) -> None:
    found = compare(shifted(frame, "vae", "parameters", 500.0), make_baseline(frame))
    assert [(f.severity, f.metric) for f in found] == [("note", "parameters")]


def test_findings_are_readable(frame: pd.DataFrame) -> None:
    text = format_findings(compare(shifted(frame, "vae", "elbo", -5.0), make_baseline(frame)))
    assert "REGRESSION  digits" in text
    assert text.endswith("1 regression.")
    assert "No metric differs" in format_findings([])


def test_baseline_file(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_baseline(frame, tmp_path / "b.json")
    assert compare(frame, read_baseline(tmp_path / "b.json")) == []
    with pytest.raises(SettingsError, match="missing"):
        read_baseline(tmp_path / "none.json")
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(SettingsError, match="format"):
        read_baseline(tmp_path / "b.json")
