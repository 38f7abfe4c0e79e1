"""Every number of the page's tables is a mean of records, every row leads to a run, gaps are gaps."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fabricate import fabricate
from reading import Page, bare, whole_page, write

from dgmbench.reporting.comparison.by_labels import READERS, read_by
from dgmbench.results import read_records

Attributes = dict[str, Any]


class Tables(HTMLParser):
    """Tables by name: their heads, and rows as (attributes of the row, its links, cells with their text)."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.heads: dict[str, list[Attributes]] = {}
        self.rows: dict[str, list[tuple[Attributes, list[str], list[Attributes]]]] = {}
        self._name = ""
        self._cell: Attributes | None = None
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own: Attributes = dict(attrs)
        if tag == "div" and "data-name" in own:
            self._name = own["data-name"]
            self.heads[self._name], self.rows[self._name] = [], []
        elif tag == "th" and own.get("scope") == "col":
            self.heads[self._name].append(own)
        elif tag == "tr":
            self.rows[self._name].append((own, [], []))
        elif tag in ("td", "th") and self._name:
            self._cell = own | {"text": ""}
            self.rows[self._name][-1][2].append(self._cell)
        elif tag == "a" and self._cell is not None:
            self.rows[self._name][-1][1].append(own["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell["text"] += data

    def numbers(self, name: str) -> list[tuple[str, str, str, float]]:
        """Row heading, metric, unit and value of every number of a table."""
        found = []
        for _, _, cells in self.rows[name]:
            for head, cell in zip(self.heads[name], cells, strict=False):
                if "data-value" in cell:
                    metric = cell.get("data-metric", head["data-metric"])
                    value = float(cell["data-value"])
                    found.append((cells[0]["text"], metric, head["data-unit"], value))
        return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tables, Page]:
    root = tmp_path_factory.mktemp("numbers")
    out = write(root, fabricate(root))
    source = (out / "index.html").read_text(encoding="utf-8")
    return out, Tables(source), Page(source)


def of_views(tables: Tables) -> list[str]:
    """Tables of models: not those of controls, of runs and of relations."""
    return [name for name in tables.heads if any(head.get("data-metric") for head in tables.heads[name])]


def means(frame: pd.DataFrame, heading: str, metric: str, unit: str) -> list[float]:
    """Means over seeds of the entries that a row may be of: `vae`, `VAE vae`, `vae, linear probe`."""
    reader, count = read_by(metric) or ("", "")
    metrics = {f"{own}_{count}" for own in READERS} if reader else {metric}
    own = frame[frame["metric"].isin(metrics) & (frame["unit"] == unit) & (frame["split"] == "test")]
    words = heading.replace(",", " ").split()
    return [float(g["value"].mean()) for (m, _), g in own.groupby(["model", "metric"]) if m in words]


def test_every_number_is_a_mean_of_records(whole: tuple[Path, Tables, Page]) -> None:
    out, tables, _ = whole
    frame = read_records(out / "results.csv")
    count = 0
    for name in of_views(tables):
        for heading, metric, unit, value in tables.numbers(name):
            # The small table names a family, and beside it the entry.
            heading = heading.lower() if name.endswith("-answer") else heading
            assert value in [pytest.approx(mean, rel=1e-12) for mean in means(frame, heading, metric, unit)]
            count += 1
    assert count > 90


def test_every_row_of_a_model_leads_to_one_of_its_runs(whole: tuple[Path, Tables, Page]) -> None:
    _, tables, page = whole
    ids = {a["id"] for _, a in page.tags if "id" in a}
    for name in of_views(tables):
        for _, links, cells in tables.rows[name][1:]:
            assert len(links) == 1 and links[0].startswith("#run-digits-"), cells[0]["text"]
            assert links[0][1:] in ids
            model = links[0].removeprefix("#run-digits-").rpartition("-")[0]
            assert model in cells[0]["text"].lower()


def test_numbers_are_short_and_in_full_behind(whole: tuple[Path, Tables, Page]) -> None:
    _, tables, _ = whole
    (row,) = [r for r in tables.rows["digits-gray-cost"] if r[2] and r[2][0]["text"].startswith("ppca")]
    seconds = next(c for h, c in zip(tables.heads["digits-gray-cost"], row[2], strict=True)
                   if h.get("data-metric") == "training_seconds")  # fmt: skip
    assert seconds["text"] == "22.5 ×/÷ 1.12"
    assert float(seconds["data-value"]) == 22.5
    assert seconds["title"].startswith("training (s): 22.5 ×/÷ 1.12, exact, 3 seeds")


def test_a_diverged_model_keeps_its_row_without_numbers(tmp_path: Path) -> None:
    settings = fabricate(tmp_path, diverged=(("gan", 0), ("gan", 1), ("gan", 2)))
    tables = Tables(bare(tmp_path, settings).source)
    (row,) = [r for r in tables.rows["digits-gray-likelihood"] if r[2] and r[2][0]["text"].startswith("gan")]
    assert row[2][0]["text"] == "gan 3 of 3 seeds diverged"
    assert {cell["text"] for cell in row[2][1:]} == {"–"}
    assert not any("data-value" in cell for cell in row[2])


def test_a_single_seed_is_said_beside_its_numbers(tmp_path: Path) -> None:
    tables = Tables(bare(tmp_path, fabricate(tmp_path, seeds=(0,), diverged=())).source)
    rows = tables.rows["digits-gray-sample-quality"]
    cells = [cell for _, _, own in rows for cell in own if "data-value" in cell]
    assert cells and all(cell["text"].endswith("1 seed") for cell in cells)
    assert not any("best" in (cell.get("class") or "").split() for cell in cells)


def test_one_seed_of_every_number_is_said_once_in_the_small_table(tmp_path: Path) -> None:
    page = whole_page(tmp_path, seeds=(0,), diverged=())
    name = "digits-gray-answer"
    assert not any("1 seed" in cell["text"] for _, _, own in Tables(page.source).rows[name] for cell in own)
    assert "every number is of one seed" in page.text
