"""metrics.json: means, rounding, unit suffixes, no timings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from places import ROOT

from dgmbench.files import read_object
from dgmbench.metrics import declared
from dgmbench.reporting.baseline.headline import (
    headline_metrics,
    metric_key,
    metric_of,
    rounded,
    write_metrics,
)
from dgmbench.reporting.records import merge_results
from dgmbench.results import read_records


@pytest.fixture
def frame(invented: tuple[Path, dict[str, Any]]) -> pd.DataFrame:
    root, settings = invented
    return merge_results(
        root / "results", ["digits"], list(settings["models"]), controls=list(settings["controls"])
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-86.7612345, -86.7612), (1234567.8, 1234570.0), (12345.0, 12345.0), (0.1 + 0.2, 0.3)],
)
def test_rounding(value: float, shown: float) -> None:
    assert rounded(value) == shown


def test_means_over_seeds_under_their_names(frame: pd.DataFrame) -> None:
    metrics = headline_metrics(frame)["digits"]
    chosen = frame[(frame["model"] == "vae_gray") & (frame["metric"] == "elbo")]
    for unit, key in (("nats", "elbo"), ("bits_per_dim", "elbo_bpd")):
        assert metrics["vae_gray"][key] == pytest.approx(
            chosen.loc[chosen["unit"] == unit, "value"].mean(), 1e-5
        )
    assert metrics["classifier"] == {"test_accuracy_binary": 97.3, "test_accuracy_gray": 97.3}


def test_no_timings_and_divergence_counted(frame: pd.DataFrame) -> None:
    metrics = headline_metrics(frame)["digits"]
    keys = {key for model in metrics.values() for key in model}
    assert not keys & {"training_seconds", "sampling_rate", "diverged"}
    assert metrics["gan"]["diverged_seeds"] == 1
    assert metrics["vae"]["diverged_seeds"] == 0


def test_controls_stand_beside_the_models_and_cannot_diverge(frame: pd.DataFrame) -> None:
    found = headline_metrics(frame)["digits"]["control/planted/truth"]
    own = frame[frame["model"] == "control/planted/truth"]
    assert found == {"log_likelihood_parzen": pytest.approx(own["value"].mean(), 1e-5)}


def test_a_model_that_diverged_throughout_stays(frame: pd.DataFrame) -> None:
    only = frame[(frame["model"] == "gan") & (frame["metric"] == "diverged")]
    assert headline_metrics(only) == {"digits": {"gan": {"diverged_seeds": 1}}}


def test_written_as_json(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_metrics(frame, tmp_path / "metrics.json")
    assert json.loads((tmp_path / "metrics.json").read_text()) == headline_metrics(frame)


def test_collapsed_seeds_count_as_failed(frame: pd.DataFrame) -> None:
    collapsed = frame.assign(metric=frame["metric"].replace("diverged", "collapsed"))
    metrics = headline_metrics(collapsed)["digits"]["gan"]
    assert metrics["diverged_seeds"] == 1 and "collapsed" not in metrics


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("reports/*/results.csv")), ids=lambda path: path.parent.name
)
def test_a_key_leads_back_to_its_metric_and_unit(path: Path) -> None:
    columns = ["metric", "unit", "model", "view"]
    for metric, unit, model, view in read_records(path)[columns].drop_duplicates().itertuples(index=False):
        assert metric_of(metric_key(metric, unit, model, view), model) == (declared(metric), unit)


def test_the_committed_baseline_has_the_declared_directions() -> None:
    baseline = read_object(ROOT / "reports" / "digits" / "baseline.json")
    for model, entry in baseline["datasets"]["digits"].items():
        for key, summary in entry["metrics"].items():
            metric, unit = metric_of(key, model)
            assert summary["direction"] == metric.direction(unit), key
