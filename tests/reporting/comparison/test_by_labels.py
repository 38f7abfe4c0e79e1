"""The table and the figure of errors by number of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from label_errors import FAILED, as_cross_entropies, records, table_of

from dgmbench.reporting.comparison.by_labels import by_labels, by_labels_of, read_by
from dgmbench.reporting.comparison.from_records import comparison
from dgmbench.reporting.comparison.table import Table
from dgmbench.reporting.figures import error_by_labels


def means(table: Table) -> dict[str, dict[str, float]]:
    return {row.model: {n: cell.mean for n, cell in by_labels_of(row).items()} for row in table.rows}


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
    assert "[1] Published: Kingma et al. 2014" in text


def test_a_probed_model_keeps_the_count_in_its_name() -> None:
    table = table_of({("vae", "probe_error_20"): [20.0, 21.0], ("vae_20", "probe_error_20"): [5.0, 6.0]})
    assert means(table) == {"vae_20, linear probe": {"20": 5.5}, "vae, linear probe": {"20": 20.5}}


def test_two_entries_of_one_method_and_count_have_rows_of_their_own() -> None:
    errors = {
        ("m2", "ssl_error_100"): [3.0, 3.0],
        ("m2_100", "ssl_error_100"): [51.0, 51.0],
        ("m2_20", "ssl_error_20"): [9.0, 9.0],
    }
    apart = {"m2": {"20": 9.0, "100": 3.0}, "m2_100": {"100": 51.0}}
    assert means(table_of(errors)) == apart
    assert means(table_of(dict(reversed(errors.items())))) == apart
    alone = {key: values for key, values in errors.items() if key[0] != "m2"}
    assert means(table_of(alone)) == {"m2": {"20": 9.0, "100": 51.0}}


def test_an_entry_does_not_stand_in_for_one_that_failed() -> None:
    errors = {("m2", "ssl_error_100"): [FAILED], ("m2_100", "ssl_error_100"): [51.0]}
    table = table_of(errors, m2={"labels": 100}, m2_100={"labels": 100})
    assert means(table) == {"m2_100": {"100": 51.0}, "m2": {}}
    assert [row.note for row in table.rows] == ["", "1 of 1 seeds diverged"]


def test_failed_seeds_are_counted_as_in_other_tables() -> None:
    errors = {
        ("ssgan", "ssl_error_100"): [1.0, 1.1, FAILED],
        ("convnet", "ssl_error_100"): [14.0, 14.2, 13.8],
        ("gan", "probe_error_100"): [FAILED, 30.0, 30.5],
    }
    table = table_of(errors)
    notes = {row.model: row.note for row in table.rows}
    assert notes == {
        "ssgan": "1 of 3 seeds diverged",
        "convnet": "",
        "gan, linear probe": "1 of 3 seeds diverged",
    }
    assert "| ssgan (1 of 3 seeds diverged) |" in table.to_markdown()
    assert any("diverged or collapsed are left out" in note for note in table.footnotes)
    other = {row.model: row.note for row in comparison(as_cross_entropies(errors), "mnist", "gray").rows}
    assert other == {"ssgan": notes["ssgan"], "convnet": "", "gan": notes["ssgan"]}


def test_a_best_is_marked_where_the_other_tables_mark_one() -> None:
    for seeds in ([1.0, 1.1, FAILED], [1.0, FAILED, FAILED], [1.0, 1.1, 0.9]):
        errors = {("ssgan", "ssl_error_100"): seeds, ("convnet", "ssl_error_100"): [14.0, 14.2, 13.8]}
        own = {row.model: any(cell.best for cell in row.cells.values()) for row in table_of(errors).rows}
        other = comparison(as_cross_entropies(errors), "mnist", "gray")
        assert own == {row.model: any(cell.best for cell in row.cells.values()) for row in other.rows}
        assert own["ssgan"] == (sum(value == value for value in seeds) > 1)


def test_a_row_of_several_entries_says_with_how_many_labels_seeds_failed() -> None:
    errors = {
        ("ssgan", "ssl_error_100"): [1.0, 1.1, 1.2],
        ("ssgan_20", "ssl_error_20"): [9.0, FAILED, FAILED],
        ("ssgan_all", "ssl_error_all"): [FAILED, FAILED, FAILED],
    }
    settings: dict[str, dict[str, Any]] = {
        "ssgan": {"labels": 100}, "ssgan_20": {"labels": 20}, "ssgan_all": {"labels": None},
    }  # fmt: skip
    (row,) = table_of(errors, **settings).rows
    assert row.note == "20 labels: 2 of 3 seeds diverged; all labels: 3 of 3 seeds diverged"
    assert list(by_labels_of(row)) == ["20", "100"]


def test_the_same_cell_twice_is_refused() -> None:
    twice = pd.concat([frame(), frame()])
    with pytest.raises(ValueError, match="occurs twice"):
        by_labels(twice, "mnist")


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
        ("test_error", None),
        ("fid_domain", None),
    ],
)
def test_metrics_are_read_by_their_reader_and_count(metric: str, found: tuple[str, str] | None) -> None:
    assert read_by(metric) == found


def test_the_figure_shows_methods_of_several_numbers_of_labels_and_of_one(tmp_path: Path) -> None:
    table = by_labels(frame(), "mnist")
    (picture,) = error_by_labels.draw(table, 50_000, tmp_path)
    assert picture.path.is_file() and picture.view == "labels"
    assert "m1_m2: 8 with 20, 3 with 100, 1 with all" in picture.alt
    assert "vae, linear probe: 20 with 20, 9 with 100. convnet: 14 with 100." in picture.alt
    alone = by_labels(frame()[frame()["model"] == "convnet"], "mnist")
    (picture,) = error_by_labels.draw(alone, 50_000, tmp_path)
    assert "convnet: 14 with 100." in picture.alt
    assert error_by_labels.draw(None, 50_000, tmp_path) == []
