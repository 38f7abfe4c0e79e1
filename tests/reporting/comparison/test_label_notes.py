"""Notes of the table of errors by labels: what is stated is what the runs and the published code did."""

from __future__ import annotations

from typing import Any

import pytest
from label_errors import table_of

from dgmbench.reporting.comparison.published import REFERENCES

SMALL: dict[str, Any] = {
    "labels": 20,
    "valid_labels": None,
    "hidden": [100],
    "training": {"epochs": 9, "rate": 0.1},
}
M2 = {("m2_20", "ssl_error_20"): [9.0, 9.5], ("m2", "ssl_error_100"): [5.0, 5.5]}


def note(errors: dict[tuple[str, str], list[float]], start: str, **settings: dict[str, Any]) -> str:
    """The one note with these first words; empty without."""
    found = [note for note in table_of(errors, **settings).footnotes if note.startswith(start)]
    assert len(found) < 2
    return "".join(found)


def test_an_interval_over_all_labels_is_not_said_to_be_over_label_sets() -> None:
    some = note(M2, "Percent")
    assert some.endswith("So the interval over trainings is over label sets too.")
    every = note(M2 | {("m2_all", "ssl_error_all"): [1.0, 1.2]}, "Percent")
    assert every.endswith("over label sets too, but for all labels, which are the same for every seed.")


def test_the_number_of_labelled_validation_images_is_stated() -> None:
    both = {"m2_20": SMALL, "m2": SMALL | {"labels": 100}}
    assert "Labelled validation images: all 50, beside" in note(M2, "Epochs", **both)
    other = both | {"m2": SMALL | {"labels": 100, "valid_labels": 10}}
    assert "images: all 50 (m2_20), 10 (m2), beside" in note(M2, "Epochs", **other)
    assert note(M2, "Epochs") == (
        "Epochs and settings are chosen on labelled validation images, never on test images."
    )


def test_what_probes_are_chosen_on_is_stated_where_there_are_any() -> None:
    assert "probe" not in note(M2, "Epochs")
    probed = M2 | {("vae", "probe_error_20"): [30.0, 31.0]}
    assert "on as many as the probe has labels" in note(probed, "Epochs")


def test_settings_that_differ_within_a_row_are_named() -> None:
    many = {"hidden": [200], "training": {"epochs": 9, "rate": 0.2}, "labelled_batch": 50}
    errors = M2 | {("m2_1000", "ssl_error_1000"): [3.0, 3.1], ("m2_all", "ssl_error_all"): [1.0, 1.2]}
    settings = {
        "m2_20": SMALL | {"measures": "classification"},
        "m2": SMALL | {"labels": 100, "labelled_batch": 10},
        "m2_1000": SMALL | many | {"labels": 1000},
        "m2_all": SMALL | many | {"labels": None},
    }
    assert note(errors, "Settings", **settings) == (
        "Settings of m2 differ between 20, 100 labels and 1000, all labels: hidden, training.rate."
    )
    del settings["m2_1000"], settings["m2_all"]
    assert note(errors, "Settings", **settings) == ""


@pytest.mark.parametrize("model", ["m2", "m1_m2", "ssgan"])
def test_authors_who_watched_test_errors_are_named(model: str) -> None:
    said = note({(model, "ssl_error_100"): [5.0, 5.5]}, "Published figures")
    assert "reports the test error in every epoch" in said and "may have been chosen on test errors" in said
    protocols = [r.protocol for r in REFERENCES if r.model == model and r.metric.startswith("ssl_error")]
    assert all("selects nothing" in protocol and "test" in protocol for protocol in protocols)


@pytest.mark.parametrize("model", ["vat", "ladder", "convnet"])
def test_other_authors_are_not(model: str) -> None:
    errors = {(model, "ssl_error_100"): [5.0, 5.5]}
    assert note(errors, "Published figures") == ""
    assert "test error" not in note(errors, "[1]")


def test_the_ladder_s_figure_is_that_of_its_gamma_model() -> None:
    table = table_of({("ladder", "ssl_error_100"): [5.0, 5.5]})
    assert table.published_text(table.rows[0]) == "error (100 labels) 3.06 ± 1.44 % [1]"
    (said,) = [note for note in table.footnotes if note.startswith("[1]")]
    assert "the Γ model (not yet checked against the paper)" in said and "full ladder" in said
