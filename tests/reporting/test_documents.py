"""Documents: tables are those of the reports, links lead somewhere, the README is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from places import ROOT

from dgmbench.controls.registry import CONTROLS
from dgmbench.errors import DgmbenchError
from dgmbench.metrics.catalogue import all_metrics
from dgmbench.reporting.catalogues import controls_table, metrics_table
from dgmbench.reporting.documents import with_tables

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(path: Path) -> None:
    links = [link for link, _ in LINK.findall(path.read_text(encoding="utf-8"))]
    local = [link for link in links if "://" not in link]
    assert not [link for link in local if not (path.parent / link).exists()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_tables_are_those_of_the_committed_reports(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert with_tables(text, ROOT) == text, "make documents"


def test_every_page_is_linked_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [path.name for path in DOCUMENTS[1:] if f"docs/{path.name}" not in text]
    assert len(text.splitlines()) <= 150


def test_every_pipeline_is_in_the_list() -> None:
    listed = (ROOT / "docs/pipelines.md").read_text(encoding="utf-8")
    assert not [path.stem for path in (ROOT / "pipelines").glob("*.yaml") if f"`{path.stem}`" not in listed]


def test_a_table_is_replaced_by_the_first_one_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.md").write_text("# T\n\n| a |\n| --- |\n| 2 |\n\n| b |\n", encoding="utf-8")
    old = "x\n<!-- table t.md -->\n\n| a |\n| --- |\n| 1 |\n\n<!-- end -->\ny\n"
    new = with_tables(old, tmp_path)
    assert new == old.replace("| 1 |", "| 2 |") and with_tables(new, tmp_path) == new


FILE = """
| model | a | b |
| --- | --- | --- |
| x | 1 | 2 |
| y | 3 | 4 |

| model | c |
| --- | --- |
| y | 5 |
"""
START = "<!-- cells t.md -->\n\n| model | c | a |\n| --- | ---: | ---: |\n"


def cells_of(rows: str, tmp_path: Path) -> str:
    (tmp_path / "t.md").write_text(FILE, encoding="utf-8")
    return with_tables(f"{START}{rows}\n\n<!-- end -->", tmp_path)


def test_cells_are_those_of_the_rows_and_columns_that_the_document_chose(tmp_path: Path) -> None:
    new = cells_of("| y | 0 | 0 |\n| x | 0 | 0 |", tmp_path)
    assert new == START + "| y | 5 | 3 |\n| x | – | 1 |\n\n<!-- end -->"
    assert with_tables(new, tmp_path) == new


def test_a_row_or_a_column_that_a_report_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(DgmbenchError, match=r"t\.md: no cell of z under c, a"):
        cells_of("| z | 0 | 0 |", tmp_path)
    (tmp_path / "t.md").write_text(FILE, encoding="utf-8")
    with pytest.raises(DgmbenchError, match=r"t\.md: no cell of x under d"):
        with_tables(
            "<!-- cells t.md -->\n| model | a | d |\n| - | - | - |\n| x | 0 | 0 |\n<!-- end -->", tmp_path
        )


@pytest.mark.parametrize(("text", "message"), [(None, "no such file"), ("nothing\n", "holds no table")])
def test_a_missing_table_is_named(text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "t.md").write_text(text, encoding="utf-8")
    with pytest.raises(DgmbenchError, match=f"t.md.*{message}"):
        with_tables("<!-- table t.md --><!-- end -->".replace("--><", "-->\n<"), tmp_path)


def test_catalogues_name_every_metric_and_every_control() -> None:
    metrics, controls = metrics_table(), controls_table()
    assert all(f"| `{metric.name}` |" in metrics for metric in all_metrics())
    assert "| `fid_domain` | FID (domain): Fréchet distance" in metrics
    assert [line.split("`")[1] for line in controls.splitlines()[2:]] == list(CONTROLS)
