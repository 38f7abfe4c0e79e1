"""Every metric is declared once and found by its name; what is not declared is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pandas as pd
import pytest
from places import ROOT

from dgmbench.errors import DgmbenchError
from dgmbench.metrics import UNITS, Metric, Topic, UndeclaredMetricError, all_metrics, check, declared, order
from dgmbench.metrics.likelihood import ELBO, IS, importance_draws, is_parzen, with_most_draws
from dgmbench.metrics.metric import FLOOR, short_count
from dgmbench.results import Record, read_records, write_records

REPORTS = sorted(ROOT.glob("reports/*/results.csv"))
# A member of each family.
MEMBERS = {"draws": 50, "samples": 100_000, "labels": 100}


def members() -> list[Metric]:
    """Every declared metric; of a family, one member."""
    found = []
    for metric in all_metrics():
        values = {key: value for key, value in MEMBERS.items() if f"{{{key}}}" in metric.name}
        if "{metric}" in metric.name:
            values["metric"] = IS.of(draws=7)  # type: ignore[assignment]
        found.append(metric.of(**values) if metric.is_family else metric)
    return found


@pytest.mark.parametrize("metric", members(), ids=lambda metric: metric.name)
def test_a_name_leads_back_to_its_declaration(metric: Metric) -> None:
    assert declared(metric.name) == metric
    assert not metric.is_family and "{" not in metric.label + metric.text
    assert set(metric.units) <= set(UNITS) and metric.topic in Topic
    for unit in metric.units:
        check(metric.name, unit)
    if metric.floor:
        floor = declared(metric.name + FLOOR)
        assert floor.hidden and not floor.over_test_images and floor.label == f"{metric.label}, floor"


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.parent.name)
def test_every_metric_of_the_committed_reports_is_declared_in_its_unit(path: Path) -> None:
    frame = pd.read_csv(path, dtype={"unit": str}, keep_default_na=False)
    for metric, unit in frame[["metric", "unit"]].drop_duplicates().itertuples(index=False):
        check(metric, unit)


def test_no_part_of_a_declaration_that_decides_something_can_be_forgotten() -> None:
    required = [field.name for field in fields(Metric) if field.default is MISSING
                and field.default_factory is MISSING]  # fmt: skip
    assert required == ["name", "label", "unit", "better", "topic", "text"]
    with pytest.raises(TypeError):
        Metric("a", "a", "1", topic=Topic.COST, text="")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="'parsec'"):
        Metric("a", "a", ("1", "parsec"), "none", Topic.COST, "")


def record(metric: str, unit: str) -> Record:
    return Record("d", "gray", "m", 0, metric, 1.0, None, 1, unit, "exact", "test", 0.0, "cpu")


def test_an_undeclared_metric_cannot_be_written() -> None:
    with pytest.raises(
        UndeclaredMetricError, match=r"'elbow' is not declared; did you mean 'elbo'\?.*dgmbench/metrics"
    ):
        record("elbow", "nats")
    with pytest.raises(
        UndeclaredMetricError, match="'elbo' is declared in nats and bits_per_dim, not in 'percent'"
    ):
        record("elbo", "percent")


def test_an_undeclared_metric_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write_records(path, [record("elbo", "nats")])
    path.write_text(path.read_text().replace("elbo", "elbow"))
    with pytest.raises(DgmbenchError, match=r"results\.csv: metric 'elbow' is not declared"):
        read_records(path)


@pytest.mark.parametrize(
    "name", ["", "elbo_floor", "log_likelihood_is_", "log_likelihood_is_05", "log_likelihood_is_x", "fid",
             "flagged_", "flagged_elbow", "fid_domain_floor_floor", "log_likelihood_is_{draws}"],
)  # fmt: skip
def test_names_that_are_near_to_a_declaration_are_none(name: str) -> None:
    with pytest.raises(UndeclaredMetricError):
        declared(name)


def test_a_family_is_filled_in_and_read_back() -> None:
    member = IS.of(draws=5000)
    assert (member.name, member.label, member.parameters) == (
        "log_likelihood_is_5000",
        "IS-5000",
        {"draws": 5000},
    )
    assert declared("log_likelihood_is_5000") == member
    assert importance_draws(member) == 5000
    assert importance_draws(ELBO) is None and importance_draws(declared("ess_is_50")) is None
    for wrong in ({}, {"draws": 0}, {"samples": 5}, {"draws": 5, "samples": 5}):
        with pytest.raises(ValueError, match="parameters of"):
            IS.of(**wrong)
    assert declared("flagged_c_t_domain").label == "trials flagged by C_T (domain)"


def test_importance_sampling_counts_with_most_draws_alone() -> None:
    names = ["elbo", "log_likelihood_is_10", "log_likelihood_is_500", "ess_is_10", "log_likelihood"]
    assert with_most_draws(names) == ["elbo", "log_likelihood_is_500", "ess_is_10", "log_likelihood"]
    assert with_most_draws([]) == []


def test_parzen_scores_are_those_of_any_samples() -> None:
    names = ("log_likelihood_parzen", "log_likelihood_parzen_100", "parzen_bandwidth", "elbo", "parzen_gap")
    assert [name for name in names if is_parzen(declared(name))] == list(names[:2])


def test_the_order_is_by_topic_then_by_declaration_then_by_parameter() -> None:
    expected = [
        "log_likelihood", "log_likelihood_is_500", "log_likelihood_is_50", "elbo", "log_likelihood_parzen",
        "log_likelihood_parzen_9", "log_likelihood_parzen_10", "fid_domain", "fid_domain_floor", "kid_domain",
        "fid_inception", "pairwise_distance_ratio", "edge_sharpness_ratio", "c_t", "probe_error_9",
        "probe_error_10", "parameters", "parzen_gap",
    ]  # fmt: skip
    assert order(reversed(expected)) == expected


def test_directions_and_allowances_depend_on_the_unit() -> None:
    assert [ELBO.direction(unit) for unit in ELBO.units] == ["higher", "lower"]
    assert (
        ELBO.allowance("nats").seeds.relative == 0.01
        and ELBO.allowance("bits_per_dim").seeds.relative == 0.0085
    )


@pytest.mark.parametrize(("count", "words"), [(2500, "2,500"), (1000, "1k"), (2_000_000, "2M"), (7, "7")])
def test_counts_in_labels_are_short(count: int, words: str) -> None:
    assert short_count(count) == words


def test_declarations_and_report_load_without_torch() -> None:
    code = (
        "import sys, dgmbench.metrics as m; m.all_metrics(); assert 'scipy' not in sys.modules; "
        "import dgmbench.reporting.report; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
