"""What a failed control says beside the numbers of a score: computed from the control's rows alone."""

from __future__ import annotations

from typing import Any

from fabricate import frame_of, row

from dgmbench.reporting.comparison.from_records import comparison
from dgmbench.reporting.comparison.table import Table

Lines = list[dict[str, Any]]


def score(metric: str, value: float = 1.0, unit: str = "1") -> Lines:
    return [row("vae", 0, metric, value, view="gray", unit=unit, kind="heuristic")]


def flagged(metric: str, **percents: float) -> Lines:
    return [
        row(f"control/planted_copies/{case.replace('_of_', '_0.')}", 0, f"flagged_{metric}", percent,
            view="gray", unit="percent", kind="estimate", n=100)
        for case, percent in percents.items()
    ]  # fmt: skip


def table(*lines: dict[str, Any], view: str = "gray") -> Table:
    return comparison(frame_of(*lines), "d", view)


def test_a_score_that_misses_copies_says_so_in_its_heading_and_below() -> None:
    cases = {"copies_0": 5, "copies_of_05": 30, "copies_of_2": 99, "copies_1": 100, "shifted_copies": 2}
    found = table(*score("c_t"), *flagged("c_t", **cases))
    assert found.columns[0].heading == "C_T ‡"
    (note,) = [note for note in found.footnotes if note.startswith("‡")]
    assert "the share of 100 trials in which it is noticed" in note
    assert note.endswith("C_T misses copies: 5 % (30 %), all moved by a pixel (2 %).")
    assert "| C_T ‡ |" in found.to_markdown()


def test_a_score_that_passes_has_no_mark() -> None:
    found = table(*score("c_t"), *flagged("c_t", copies_0=5, copies_1=100, shifted_copies=90, noise=4))
    assert found.columns[0].heading == "C_T" and not any("‡" in note for note in found.footnotes)


def test_false_alarms_count_for_scores_of_copying_and_not_for_fid() -> None:
    cases = {"copies_0": 5, "copies_1": 85, "noise": 100, "dropped_class": 81}
    found = table(*score("auth_pct"), *score("fid_domain"), *flagged("auth_pct", **cases),
                  *flagged("fid_domain", **cases))  # fmt: skip
    assert {column.metric: column.failing for column in found.columns} == {
        "auth_pct": True,
        "fid_domain": False,
    }
    (note,) = [note for note in found.footnotes if note.startswith("‡")]
    assert note.endswith("authentic is alarmed by noise (100 %), a class left out (81 %).")


def test_a_score_of_quality_fails_by_what_it_is_there_to_notice() -> None:
    """A distance by anything amiss, a part of quality by its own; neither by a few copies or moved ones."""
    cases = {
        "copies_0": 5,
        "copies_of_05": 6,
        "copies_1": 3,
        "shifted_copies": 2,
        "dropped_class": 40,
        "noise": 99,
    }
    metrics = ("fid_domain", "kid_domain", "precision", "recall", "coverage", "class_histogram_distance")
    found = table(*(line for m in metrics for line in [*score(m), *flagged(m, **cases)]))
    told = {
        "FID (domain)": "misses: samples that are all copies (3 %), a class left out (40 %)",
        "KID (domain)": "misses: samples that are all copies (3 %), a class left out (40 %)",
        "recall": "misses: a class left out (40 %)",
        "coverage": "misses: a class left out (40 %)",
        "class histogram": "misses: a class left out (40 %)",
    }
    assert {column.label for column in found.columns if column.failing} == set(told)
    (note,) = [note for note in found.footnotes if note.startswith("‡")]
    assert all(f"{label} {words}" in note for label, words in told.items()) and "precision" not in note


def test_the_binary_table_is_told_too_and_other_data_sets_are_not() -> None:
    lines = [row("vae", 0, "c_t", 1.0, view="binary", unit="1", kind="heuristic")]
    missed = flagged("c_t", copies_1=0)
    assert table(*lines, *missed, view="binary").columns[0].failing
    elsewhere = [line | {"dataset": "other"} for line in missed]
    assert not table(*lines, *elsewhere, view="binary").columns[0].failing


def test_without_the_control_nothing_is_said() -> None:
    found = table(*score("c_t"), *score("nn_distance_ratio"))
    assert not any(column.failing for column in found.columns)
    assert not any("‡" in note for note in found.footnotes)


def test_how_authentic_held_out_images_are_is_a_footnote_and_no_column() -> None:
    lines = score("auth_pct", 40.0, "percent") + score("auth_pct_heldout", 55.02, "percent")
    found = table(*lines, *score("auth_pct_heldout_domain", 50.0, "percent"))
    assert [column.metric for column in found.columns] == ["auth_pct"]
    expected = "Of held-out images so many are authentic: authentic: 55.0 %; authentic (domain): 50.0 %."
    assert expected in found.footnotes
    assert found.columns[0].direction == "none"


def test_a_distance_without_bias_fails_where_the_distance_does_and_the_untried_are_named() -> None:
    """The control has too few images for the former."""
    cases = {"copies_0": 5, "copies_1": 3, "noise": 100, "dropped_class": 81}
    found = table(*score("fid_domain"), *score("fid_domain_infinity"), *score("precision_inception"),
                  *flagged("fid_domain", **cases))  # fmt: skip
    assert {c.metric: c.failing for c in found.columns} == {
        "fid_domain": True,
        "fid_domain_infinity": True,
        "precision_inception": False,
    }
    (note,) = [note for note in found.footnotes if note.startswith("‡")]
    assert "FID∞ (domain) misses: samples that are all copies (3 %)" in note
    assert "No control has tried: precision (Inception)." in found.footnotes
