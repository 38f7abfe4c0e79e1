"""What an experiment says of itself: whole tables, however long the report is."""

from __future__ import annotations

from pathlib import Path

import pytest
from places import ROOT

from dgmbench.reporting.headlines import HEADLINES
from dgmbench.tracking.description import note

TABLE = "| family | nats |\n| --- | ---: |\n" + "\n".join(f"| f{i} | = {i} |" for i in range(12))
ANSWER = f"""## gray view

{TABLE}

= exact.

- **f1** says more.

| another | table |
| --- | --- |

## binary view

{TABLE}

- **f1** says more.

A rule.
"""


def written(folder: Path, answer: str = ANSWER) -> str:
    (folder / "tables").mkdir()
    (folder / "tables" / "d-answer.md").write_text(answer, encoding="utf-8")
    (folder / "tables" / "d-gray.md").write_text("| model |\n" * 5000, encoding="utf-8")
    return note(folder, "d")


def test_it_says_how_to_compare_and_has_the_small_table_of_each_view(tmp_path: Path) -> None:
    found = written(tmp_path)
    assert "How to compare" in found
    assert all(f"`{headline.key}`" in found for headline in HEADLINES)
    assert found.count(TABLE) == 2
    assert found.index("## gray view") < found.index("= exact.") < found.index("## binary view")
    assert "says more" not in found and "| another |" not in found and "A rule." not in found


def test_it_ends_with_a_pointer_to_the_rest_and_not_in_mid_table(tmp_path: Path) -> None:
    found = written(tmp_path)
    assert "| model |" not in found and len(found) < 5000
    assert "report of <pipeline>" in found.splitlines()[-1]


def test_without_a_report_it_says_how_to_compare(tmp_path: Path) -> None:
    found = note(tmp_path, "d")
    assert "How to compare" in found and "artifacts of the run" not in found


@pytest.mark.parametrize("path", sorted(ROOT.glob("reports/*/tables/*-answer.md")), ids=str)
def test_committed_answers_fit(path: Path) -> None:
    found = note(path.parent.parent, path.name.removesuffix("-answer.md"))
    assert "\n| --- |" in found and len(found) < 20_000
