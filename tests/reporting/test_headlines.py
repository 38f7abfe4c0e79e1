"""The few headline numbers: which metric is behind each, what is left out, and the files that show them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fabricate import frame_of, row
from places import ROOT
from tabulate import tabulate

from dgmbench.metrics import declared
from dgmbench.reporting.headlines import HEADLINES, headlines, rounded, write_bars, write_metrics
from dgmbench.reporting.records import merge_results
from dgmbench.results import read_records

RESULTS = sorted(ROOT.glob("reports/*/results.csv"))


def of(*rows: dict[str, Any]) -> dict[str, float]:
    (found,) = headlines(frame_of(*rows))
    return found.flat()


@pytest.mark.parametrize(
    ("value", "shown"), [(-86.7612345, -86.76), (1234567.8, 1235000), (120.04, 120), (0.1 + 0.2, 0.3)]
)
def test_rounding(value: float, shown: float) -> None:
    assert rounded(value) == shown
    assert isinstance(rounded(value), type(shown))


def test_there_are_at_most_seven() -> None:
    assert len({headline.key for headline in HEADLINES}) == len(HEADLINES) <= 7


@pytest.mark.parametrize("headline", [h for h in HEADLINES if h.metrics], ids=lambda h: h.key)
def test_a_headline_has_the_unit_and_direction_that_its_metrics_are_declared_with(headline: Any) -> None:
    for name in headline.metrics:
        metric = declared(name)
        assert metric.units[0] == headline.unit and metric.direction(headline.unit) == headline.better


def test_memorisation_is_what_the_answer_shows() -> None:
    """Moved copies are found over shifts alone."""
    plain = row("m", 0, "nn_distance_ratio", 1.2, unit="1")
    assert of(plain) == {"nn_ratio": 1.2}
    assert of(plain, row("m", 0, "nn_distance_ratio_shifts", 0.3, unit="1")) == {"nn_ratio": 0.3}


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_a_headline_is_one_metric_but_for_the_likelihood(path: Path) -> None:
    """Errors with different numbers of labels do not stand in one column; two readers of 100 labels do."""
    metrics: dict[str, set[str]] = {}
    for own in headlines(read_records(path)):
        for key, cell in own.cells.items():
            metrics.setdefault(f"{own.dataset} {key}", set()).add(cell.metric)
    for name, found in metrics.items():
        if name.endswith(" err_pct"):
            assert found <= {"ssl_error_100", "probe_error_100"}
        elif not name.endswith(" nats"):
            assert len(found) == 1, (name, found)


def test_the_likelihood_is_the_tightest_as_the_tables_have_it() -> None:
    bounds = [row("m", s, "elbo", -30.0, kind="lower_bound") for s in (0, 1)]
    exact = [row("m", s, "log_likelihood", -20.0 - s) for s in (0, 1)]
    assert of(*bounds) == {"nats": -30}
    assert of(*bounds, *exact) == {"nats": -20.5}
    in_bits = row("m", 0, "log_likelihood", 0.5, unit="bits_per_dim")
    assert of(*bounds, *exact, in_bits) == {"nats": -20.5}


def test_a_classifier_s_own_error_goes_before_that_of_a_probe() -> None:
    probe = row("m", 0, "probe_error_100", 30.0, unit="percent")
    assert of(probe) == {"err_pct": 30}
    assert of(probe, row("m", 0, "ssl_error_100", 12.5, unit="percent")) == {"err_pct": 12.5}


@pytest.mark.parametrize("metric", ["probe_error_1000", "ssl_error_20", "ssl_error_all"])
def test_an_error_with_other_labels_is_a_gap(metric: str) -> None:
    other = row("m", 0, metric, 9.0, unit="percent")
    assert of(other) == {}
    assert of(other, row("m", 0, "probe_error_100", 30.0, unit="percent")) == {"err_pct": 30}


def test_failed_seeds_are_counted_and_left_out_of_means() -> None:
    good = row("m", 0, "fid_domain", 2.0, unit="1")
    assert of(good, row("m", 1, "diverged", 1.0, unit="1")) == {"fid": 2, "failed": 1}
    assert of(row("m", 0, "collapsed", 1.0, unit="1")) == {"failed": 1}


def test_controls_and_the_classifier_are_no_models(invented: tuple[Path, dict[str, Any]]) -> None:
    root, settings = invented
    frame = merge_results(root / "results", ["digits"], list(settings["models"]), controls=["planted"])
    assert [found.model for found in headlines(frame)] == list(settings["models"])


def test_a_file_a_model_and_a_line_a_headline(tmp_path: Path) -> None:
    frame = frame_of(
        *(row("m", seed, "fid_domain", 2.0 + seed, unit="1") for seed in (0, 1)),
        row("m/prior", 0, "fid_domain", 9.0, unit="1"),
    )
    found = list(headlines(frame))
    paths = write_metrics(found, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["d/m.json", "d/m/prior.json"]
    assert json.loads(paths[0].read_text()) == {"fid": 2.5}
    write_bars(found, tmp_path / "bars.csv")
    bars = pd.read_csv(tmp_path / "bars.csv")
    assert list(bars["model"]) == ["m", "m/prior"]
    # Student's t of two seeds: 12.706 x 0.7071 / sqrt(2) around 2.5.
    assert bars.loc[0, ["low", "high"]].tolist() == pytest.approx([-3.853, 8.853])
    assert bars.loc[1, ["low", "high"]].isna().all(), "one seed says nothing of others"


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_the_committed_files_say_what_the_committed_results_say(path: Path, tmp_path: Path) -> None:
    found = list(headlines(read_records(path)))
    write_metrics(found, tmp_path / "metrics")
    write_bars(found, tmp_path / "headlines.csv")
    made = {p.relative_to(tmp_path): p.read_text() for p in tmp_path.rglob("*.*") if p.is_file()}
    folder = path.parent
    kept = [*(folder / "metrics").rglob("*.json"), folder / "headlines.csv"]
    assert {p.relative_to(folder): p.read_text() for p in kept} == made


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_a_row_fits_a_terminal(path: Path) -> None:
    """Printed as `dvc metrics show` prints it."""
    rows = [
        {"Path": f"reports/{path.parent.name}/metrics/{found.dataset}/{found.model}.json", **found.flat()}
        for found in headlines(read_records(path))
    ]
    table = tabulate(rows, headers="keys", tablefmt="plain", disable_numparse=True, missingval="-")
    assert max(map(len, table.splitlines())) <= 120
