"""Keys of the baseline lead back to metrics; the committed one has their directions."""

from __future__ import annotations

from pathlib import Path

import pytest
from places import ROOT

from dgmbench.files import read_object
from dgmbench.metrics import declared
from dgmbench.reporting.baseline.compared import metric_key, metric_of
from dgmbench.results import read_records


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
