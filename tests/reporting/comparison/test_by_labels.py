"""The table and the figure of errors by number of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dgmbench.reporting.comparison.by_labels import by_labels, by_labels_of, read_by
from dgmbench.reporting.figures import error_by_labels
from dgmbench.results import Record


def records(errors: dict[tuple[str, str], list[float]], dataset: str = "mnist") -> pd.DataFrame:
    """Errors by (model, metric), one for each seed."""
    found: list[dict[str, Any]] = []
    for (model, metric), values in errors.items():
        for seed, value in enumerate(values):
            one = Record(dataset, "gray", model, seed, metric, value, 0.1, 100, "percent", "exact", "test",
                         0.0, "cpu")  # fmt: skip
            found.append(vars(one))
    return pd.DataFrame(found)


ERRORS = {
    ("vae", "probe_error_100"): [9.0, 9.2, 8.8],
    ("vae", "knn_error_100"): [15.0, 15.5, 14.5],
    ("vae", "probe_error_20"): [20.0, 21.0, 19.0],
    ("m1_m2", "ssl_error_100"): [3.0, 3.1, 2.9],
    ("m1_m2_20", "ssl_error_20"): [8.0, 9.0, 7.0],
    ("m1_m2_all", "ssl_error_all"): [1.0, 1.1, 0.9],
    ("convnet", "ssl_error_100"): [14.0, 14.2, 13.8],
    ("vae", "fid_domain"): [1.0, 1.0, 1.0],
}


def frame() -> pd.DataFrame:
    found = records({key: values for key, values in ERRORS.items() if key[1] != "fid_domain"})
    other = found.iloc[:1].assign(metric="fid_domain", unit="1")
    return pd.concat([found, other])


def test_one_row_for_a_method_whatever_its_labels_and_one_for_each_reader() -> None:
    table = by_labels(frame(), "mnist", {"splits": {"test": 100, "train": 50_000}})
    assert table is not None
    assert [row.model for row in table.rows] == [
        "m1_m2", "vae, linear probe", "convnet", "vae, k-NN of features",
    ]  # fmt: skip
    assert [column.metric for column in table.columns] == ["ssl_error_20", "ssl_error_100", "ssl_error_all"]
    first = by_labels_of(table.rows[0])
    assert list(first) == ["20", "100", "all"]
    assert [cell.mean for cell in first.values()] == pytest.approx([8.0, 3.0, 1.0])
    assert list(by_labels_of(table.rows[2])) == ["100"]


def test_the_best_of_all_readers_is_marked_where_intervals_separate() -> None:
    table = by_labels(frame(), "mnist")
    assert table is not None
    best = [row.model for row in table.rows for count, cell in by_labels_of(row).items()
            if cell.best and count == "100"]  # fmt: skip
    assert best == ["m1_m2"]
    close = frame().replace({"value": {14.0: 3.2, 14.2: 4.0, 13.8: 2.5}})
    table = by_labels(close, "mnist")
    assert table is not None
    assert not any(
        cell.best for row in table.rows for count, cell in by_labels_of(row).items() if count == "100"
    )


def test_published_errors_stand_in_the_row_with_how_they_were_chosen() -> None:
    table = by_labels(frame(), "mnist")
    assert table is not None
    own = {row.model: table.published_text(row) for row in table.rows}
    assert "3.33 ± 0.14 % [1]" in own["m1_m2"] and "22.98 %" in own["convnet"]
    assert own["vae, linear probe"] == ""
    text = table.to_markdown()
    assert "[1] Published: Kingma et al. 2014" in text and "epochs by the test error" in text
    assert "reports the test error of its epochs" in text


def test_a_data_set_without_errors_has_no_table() -> None:
    only = frame()
    assert by_labels(only[only["metric"] == "fid_domain"], "mnist") is None
    assert by_labels(only, "digits") is None


@pytest.mark.parametrize(
    ("metric", "found"),
    [
        ("ssl_error_100", ("ssl_error", "100")),
        ("ssl_error_all", ("ssl_error", "all")),
        ("knn_error_20", ("knn_error", "20")),
        ("validation_error", None),
        ("fid_domain", None),
    ],
)
def test_metrics_are_read_by_their_reader_and_count(metric: str, found: tuple[str, str] | None) -> None:
    assert read_by(metric) == found


def test_a_line_has_two_numbers_of_labels_or_more(tmp_path: Path) -> None:
    table = by_labels(frame(), "mnist")
    (picture,) = error_by_labels.draw(table, 50_000, tmp_path)
    assert picture.path.is_file() and picture.view == "labels"
    assert "m1_m2: 8 with 20, 3 with 100, 1 with all" in picture.alt
    assert "vae, linear probe: 20 with 20, 9 with 100" in picture.alt and "convnet" not in picture.alt
    alone = frame()
    assert (
        error_by_labels.draw(by_labels(alone[alone["model"] == "convnet"], "mnist"), 50_000, tmp_path) == []
    )
    assert error_by_labels.draw(None, 50_000, tmp_path) == []
