"""Findings as people read them: in a terminal, and in the comment of a pull request."""

from __future__ import annotations

from dgmbench.reporting.baseline.regression import NEW, Finding
from dgmbench.reporting.baseline.wording import NOTHING, format_findings, markdown

WORSE = Finding("regression", "d", "vae", "fid_domain", "worse", 2.0, 5.0, 1.5)
WORST = Finding("regression", "d", "gan", "fid_domain", "worse", 2.0, 8.0, 1.5)
BETTER = Finding("better", "d", "ae", "elbo", "better", -3.0, -1.0, 1.0)
WITHIN = Finding("within", "d", "ppca", "elbo", "seeds can do that", -3.0, -3.2, 1.0)
MISSING = Finding("regression", "d", "iwae", "–", "the model is missing")


def test_a_change_is_counted_in_intervals_with_its_sign() -> None:
    assert (WORSE.intervals, BETTER.intervals) == (2.0, 2.0)
    assert round(WITHIN.intervals or 0.0, 6) == -0.2
    assert MISSING.intervals is None


def test_the_table_has_the_largest_change_of_a_kind_first() -> None:
    lines = format_findings([WORSE, WORST, MISSING, BETTER]).splitlines()
    assert [line.split()[2] for line in lines[1:5]] == ["gan", "vae", "iwae", "ae"]
    assert "+4.00" in lines[1] and "+2.00" in lines[2]
    assert lines[-1] == "3 regressions."
    assert format_findings([]) == NOTHING


def test_markdown_folds_away_what_is_within_tolerance() -> None:
    text = markdown([WORSE, BETTER, WITHIN], "digits")
    assert "**1 regression**, 1 improvement beyond tolerance, 1 change within." in text
    shown, _, folded = text.partition("<details>")
    assert "| REGRESSION | d | vae | fid_domain | 2 | 5 | 1.5 | +2.00 | worse |" in shown
    assert "| ppca |" in folded and "| ppca |" not in shown
    assert "<details>" not in markdown([], "digits")
    assert "5 changes within." in markdown([WITHIN], "digits", hidden=4)


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head() -> None:
    odd = Finding("note", "d", "a|b", "elbo", "is <b> | so")
    rows = [line for line in markdown([odd, WORSE], "t").splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert "&lt;b>" in rows[-1] + rows[-2]


def test_new_metrics_of_a_model_are_one_line() -> None:
    new = [Finding("note", "d", "vae", name, NEW, None, 1.0) for name in "abcde"]
    text = format_findings(new)
    assert text.count("vae") == 1 and "new: a, b, c and 2 more" in text


def test_a_comment_stays_below_the_limit_of_one() -> None:
    many = [Finding("within", "d", f"model_{i}", "elbo", "x" * 60, 1.0, 2.0, 3.0) for i in range(3000)]
    text = markdown(many, "t")
    assert len(text) < 65_536 and "and 2800 more" in text
