"""Quality against cost: what is drawn is what the table holds, and what has no time is left out."""

from __future__ import annotations

from pathlib import Path

from fabricate import frame_of, row
from PIL import Image

from dgmbench.reporting.comparison.from_records import comparison
from dgmbench.reporting.comparison.table import Table
from dgmbench.reporting.figures import costs


def table(*models: str, likelihood: bool = True, timed: bool = True) -> Table:
    rows = []
    for place, model in enumerate(models):
        for seed in (0, 1):
            rows.append(row(model, seed, "fid_domain", 2.0 + place + 0.1 * seed, unit="1", kind="estimate"))
            if likelihood:
                rows.append(row(model, seed, "log_likelihood", -20.0 - place))
            if timed:
                rows.append(row(model, seed, "training_seconds", 10.0**place, unit="seconds", split="train"))
                rate = row(model, seed, "sampling_rate", 1000.0, unit="images_per_second", kind="estimate")
                rows.append(rate)
    return comparison(frame_of(*rows), "d", "binary")


def test_every_model_is_at_its_time_and_value(tmp_path: Path) -> None:
    (picture,) = costs.draw(table("a", "b", "c"), tmp_path)
    assert picture.role == "costs"
    assert (
        "FID (domain) over training time (seconds): a 2.05 at 1; b 3.05 at 10; c 4.05 at 100." in picture.alt
    )
    assert "over sampling time (seconds per image): a −20 at 0.001; b −21 at 0.001" in picture.alt
    assert "lower left" in picture.caption
    assert Image.open(picture.path).size[0] == 1188


def test_without_a_likelihood_there_are_the_panels_of_fid_alone(tmp_path: Path) -> None:
    (whole,), (half,) = costs.draw(table("a"), tmp_path), costs.draw(table("a", likelihood=False), tmp_path)
    assert "log-likelihood" in whole.alt and "log-likelihood" not in half.alt


def test_a_model_without_times_is_left_out(tmp_path: Path) -> None:
    assert costs.draw(table("a", "b", timed=False), tmp_path) == []
