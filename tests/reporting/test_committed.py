"""The committed documents say what the committed reports say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from places import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
Cells = dict[str, set[str]]
# A number with its interval, as in sentences.
MEASURED = re.compile(r"−?[\d,]+(?:\.\d+)? ± [\d,]+(?:\.\d+)?")


def plain(cell: str) -> str:
    return cell.replace("**", "").replace("\\", "").strip()


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[plain(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.fixture(scope="module")
def tables() -> list[str]:
    texts = [path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("reports/*/tables/*.md"))]
    assert texts
    return texts


@pytest.fixture(scope="module")
def cells(tables: list[str]) -> Cells:
    """What any report's tables hold of each model."""
    found: Cells = {}
    for text in tables:
        for first, *others in rows(text):
            found.setdefault(first, set()).update(others)
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_cell_of_a_model_s_row_stands_in_a_report(path: Path, cells: Cells) -> None:
    strangers = [
        (first, cell)
        for first, *others in rows(path.read_text(encoding="utf-8"))
        if first in cells
        for cell in others
        if "±" in cell and cell not in cells[first]
    ]
    assert not strangers


def test_every_measured_number_of_the_results_stands_in_a_report(tables: list[str]) -> None:
    written = "".join((ROOT / path).read_text(encoding="utf-8") for path in ("README.md", "docs/results.md"))
    known = {number.lstrip("−") for text in tables for number in MEASURED.findall(text)}
    found = {number.lstrip("−") for number in MEASURED.findall(written)}
    assert len(found) > 20
    assert found <= known, found - known
