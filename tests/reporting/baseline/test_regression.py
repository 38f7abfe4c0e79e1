"""The regression check: planted regressions are found, seed noise is not, nothing goes missing unseen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from places import ROOT

from dgmbench.errors import SettingsError
from dgmbench.metrics import declared
from dgmbench.reporting.baseline.compared import comparable_records, metric_key
from dgmbench.reporting.baseline.files import read_baseline, write_baseline
from dgmbench.reporting.baseline.regression import (
    Finding,
    compare,
    compare_metric,
    make_baseline,
    regressions,
)
from dgmbench.reporting.baseline.tolerance import level_of
from dgmbench.reporting.baseline.wording import format_findings
from dgmbench.reporting.records import merge_results
from dgmbench.results import read_records

LEVEL = 1e-5


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
    [("vae", "elbo", -5.0), ("vae", "fid_domain", 20.0), ("ppca", "log_likelihood_parzen", -0.2)],
)
def test_a_planted_regression_is_found(frame: pd.DataFrame, model: str, metric: str, worse: float) -> None:
    baseline = make_baseline(frame)
    assert (model, metric) in failing(compare(shifted(frame, model, metric, worse), baseline))
    better = compare(shifted(frame, model, metric, -worse), baseline)
    assert not failing([f for f in better if f.metric == metric])
    assert any(f.severity == "better" and "look why" in f.message for f in better if f.metric == metric)


@pytest.mark.parametrize(
    ("before", "now", "severity"),
    [
        (1.31, 0.707, "note"),  # from none to copying, as far from 1 as before
        (1.1, 0.9, "note"),
        (1.31, 1.3, "within"),
        (1.001, 0.999, "within"),
        (1.02, 0.5, "regression"),
        (1.02, 1.6, "regression"),
        (0.5, 0.98, "better"),
        (0.5, 1.001, "better"),
        (1.6, 0.7, "note"),  # nearer to 1, yet copying
    ],
)
def test_where_1_is_best_intervals_are_of_what_was_judged(before: float, now: float, severity: str) -> None:
    metric = "nn_distance_ratio"
    sides = (summary(mean, 0.001, direction="one") for mean in (before, now))
    (found,) = compare_metric("d", "gan", metric, *sides, LEVEL)
    assert found.severity == severity
    assert found.intervals is not None and found.tolerance is not None
    assert (abs(found.intervals) > 1) == (severity != "within")
    crossed = now - before
    nearer = abs(now - 1) - abs(before - 1)
    judged = crossed if severity == "note" else nearer
    assert found.intervals == pytest.approx(judged / found.tolerance)


def test_what_did_not_change_is_not_reported() -> None:
    side = summary(1.2, 0.001, direction="one")
    assert compare_metric("d", "gan", "nn_distance_ratio", side, side, LEVEL) == []


def committed() -> pd.DataFrame:
    """The results of the default benchmark, of every family."""
    return read_records(ROOT / "reports" / "digits" / "results.csv")


def on_another_machine(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Every number off by rounding, and every domain score by another classifier, which all seeds share.

    Rounding bounds the difference of two machines, so each is off by half of it.
    """
    pairs = list(zip(frame["metric"], frame["unit"], strict=True))
    keys = [metric_key(*pair) for pair in pairs]
    kinds = [declared(metric).allowance(unit) for metric, unit in pairs]
    values = frame["value"].to_numpy()
    off = [kind.rounding.of(value) for kind, value in zip(kinds, values, strict=True)]
    # One draw for a score of a model; the seeds keep their distances.
    groups = frame.assign(key=keys).groupby(["view", "model", "key"])
    draws = rng.normal(size=groups.ngroups)[groups.ngroup()]
    means = groups["value"].transform("mean")
    moves = [
        np.sign(draw) * np.sign(mean) * kind.classifier.reach(mean, abs(draw), growing=draw > 0)
        for kind, mean, draw in zip(kinds, means, draws, strict=True)
    ]
    moved = values + rng.uniform(-0.45, 0.45, len(values)) * off + moves
    counted = ~frame["metric"].map(lambda metric: declared(metric).counts).astype(bool)
    return frame.assign(value=np.where(counted, moved, values))


def test_another_machine_is_not_a_regression() -> None:
    """Whichever of two machines the baseline is from: neither had the middle of all classifiers.

    With a draw of its own for every score, more comparisons are independent than in truth.
    """
    frame, fails = committed(), 0
    for seed in range(25):
        first, second = (on_another_machine(frame, np.random.default_rng([seed, side])) for side in (0, 1))
        assert (first["value"] != second["value"]).mean() > 0.8
        fails += bool(failing(compare(second, make_baseline(first))))
    # Expected at most FALSE_ALARMS times 25; the 99.9 % quantile of that Poisson distribution is 2.
    assert fails <= 2


@pytest.mark.parametrize(
    ("model", "lost"),
    # A quarter of the epochs, a tenth of PixelCNN's: by validation curves of digits at 0324f7e.
    [("vae", 0.9), ("vae_gray", 9.1), ("pixelcnn", 1.26)],
)
def test_a_model_that_is_trained_too_briefly_is_found(frame: pd.DataFrame, model: str, lost: float) -> None:
    nats = (
        (frame["model"] == model)
        & (frame["unit"] == "nats")
        & frame["metric"].map(lambda metric: declared(metric).likelihood)
    )
    shorter = frame.assign(value=frame["value"] - lost * nats)
    found = failing(compare(shorter, make_baseline(frame)))
    assert found and {name for name, _ in found} == {model}


def test_half_the_training_is_found_from_a_baseline_of_eight_seeds() -> None:
    # VAE on digits at 0324f7e: standard deviation .025 nats; half the epochs lose .27, .31 and .39.
    before = {"mean": -22.14, "sd": 0.025, "direction": "higher"}
    now = {"mean": -22.14 - 0.323, "sd": 0.063, "n": 3}
    level = level_of(400)
    few, many = (
        compare_metric("d", "vae", "log_likelihood_is_5000", before | {"n": n}, now, level) for n in (3, 8)
    )
    assert not regressions(few)
    assert regressions(many)


def test_a_control_that_changes_or_goes_missing_is_found(frame: pd.DataFrame) -> None:
    baseline, part = make_baseline(frame), "control/planted/truth"
    assert "diverged_seeds" not in baseline["datasets"]["digits"][part]
    changed = compare(shifted(frame, part, "log_likelihood_parzen", -3.0), baseline)
    assert failing(changed) == [(part, "log_likelihood_parzen")]
    assert failing(compare(frame[frame["model"] != part], baseline)) == [(part, "–")]


def test_one_collapsed_seed_does_not_hide_in_its_own_spread() -> None:
    now = np.array([20.0, 20.5, 500.0])
    found = compare_metric(
        "d",
        "gan",
        "fid_domain",
        summary(20.0, 0.5),
        summary(float(now.mean()), float(now.std(ddof=1))),
        LEVEL,
    )
    assert regressions(found)


def test_a_metric_whose_best_is_one() -> None:
    before = summary(0.98, 0.01, direction="one")
    assert regressions(compare_metric("d", "m", "nn_distance_ratio", before, summary(0.5, 0.01), LEVEL))
    assert not regressions(compare_metric("d", "m", "nn_distance_ratio", before, summary(1.0, 0.01), LEVEL))


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


@pytest.mark.parametrize(
    "metric", ["parameters", "class_coverage", "fid_domain_floor", "n_real_domain", "parzen_bandwidth"]
)
def test_counts_floors_and_choices_are_no_headline_and_no_regression(
    frame: pd.DataFrame, metric: str
) -> None:
    def with_value(value: float) -> pd.DataFrame:
        rows = frame[(frame["model"] == "vae") & (frame["metric"] == "parameters")]
        others = frame[~((frame["model"] == "vae") & (frame["metric"] == metric))]
        return pd.concat([others, rows.assign(metric=metric, value=value)], ignore_index=True)

    before, after = with_value(0.9), with_value(0.1)
    assert metric not in set(comparable_records(before)["key"])
    found = [(f.severity, f.metric, f.message) for f in compare(after, make_baseline(before))]
    assert found == ([("note", metric, "changed")] if metric in ("parameters", "class_coverage") else [])


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


@pytest.mark.parametrize("text", ["{}", '{"format": 1, "datasets": {}}'])
def test_a_baseline_of_another_format_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(SettingsError, match=r"not a baseline of format 2; .*make baseline"):
        read_baseline(tmp_path / "b.json")
