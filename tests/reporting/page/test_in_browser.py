"""The tables in a browser: they sort, filter and go to CSV, under the page's own policy on scripts."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from browser import dom_after, executable, saved_by
from fabricate import fabricate
from reading import bare

from dgmbench.results import read_records

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium is installed")

NAME = "digits-gray-sample-quality"
# What a reader does, and what is then seen: the models from top to bottom.
READER = """
const box = document.querySelector('.table[data-name="digits-gray-sample-quality"]');
const seen = () => [...box.querySelectorAll("tbody tr")].filter((row) => !row.hidden && row.offsetHeight > 0)
  .map((row) => row.cells[0].querySelector("a, :scope").innerText.trim().split("\\n")[0]);
const head = (column) => box.querySelectorAll("thead th")[column];
const sort = (column) => head(column).querySelector("button").click();
const filter = (text) => {
  const field = box.querySelector("input");
  field.value = text;
  field.dispatchEvent(new Event("input"));
};
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("browser")
    return root, bare(root, fabricate(root)).source


def outcome(page: str, actions: str, folder: Path, width: int = 1300) -> Any:
    """What a script leaves in `result` after the reader's actions."""
    script = f"{READER} const result = {{}}; {actions}; document.title = JSON.stringify(result);"
    found = re.search(r"<title>(.*?)</title>", dom_after(page, script, folder, width), re.S)
    assert found
    return json.loads(found[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))


def test_a_click_on_a_head_sorts_by_number_and_a_third_restores_the_order(
    made: tuple[Path, str], tmp_path: Path
) -> None:
    each = "sort(1); result.{0} = seen(); result.{0}_aria = head(1).getAttribute('aria-sort');"
    steps = "result.first = seen();" + "".join(each.format(name) for name in ("up", "down", "off"))
    found = outcome(made[1], steps, tmp_path)
    # Invented FIDs, see `fabricate`: 2.4, 2.5, 6 and 8.
    assert found["up"] == ["pixelcnn_gray", "gan", "vae_gray", "ppca"]
    assert found["down"] == found["up"][::-1]
    assert found["off"] == found["first"] == ["ppca", "vae_gray", "gan", "pixelcnn_gray"]
    assert [found[f"{name}_aria"] for name in ("up", "down", "off")] == ["ascending", "descending", None]


def test_a_filter_leaves_the_rows_that_hold_all_words_and_counts_them(
    made: tuple[Path, str], tmp_path: Path
) -> None:
    steps = """
    filter("gray"); result.gray = seen(); result.count = box.querySelector(".count").textContent;
    filter("GRAY pixel"); result.both = seen();
    filter("nothing of the kind"); result.none = seen();
    filter(""); result.all = seen(); result.quiet = box.querySelector(".count").textContent;
    """
    found = outcome(made[1], steps, tmp_path)
    assert found["gray"] == ["vae_gray", "pixelcnn_gray"]
    assert found["count"] == "2 of 4 rows"
    assert found["both"] == ["pixelcnn_gray"]
    assert found["none"] == []
    assert len(found["all"]) == 4 and found["quiet"] == ""


def test_csv_is_the_table_as_shown_with_numbers_in_full(made: tuple[Path, str], tmp_path: Path) -> None:
    steps = 'sort(1); filter("gray"); box.querySelector(".csv").click();'
    text = saved_by(made[1], READER + steps, tmp_path, f"{NAME}.csv")
    head, *lines = csv.reader(io.StringIO(text))
    assert head == ["model", "FID (domain) ↓", "FID (domain) ↓ ±"]
    assert [line[0] for line in lines] == ["pixelcnn_gray", "vae_gray"]
    frame = read_records(made[0] / "results" / "digits" / "vae_gray" / "results.csv")
    mean = frame.loc[frame["metric"] == "fid_domain", "value"].mean()
    assert float(lines[1][1]) == pytest.approx(mean, rel=1e-15)
    assert float(lines[1][2]) > 0


def test_scripts_that_the_page_does_not_know_do_not_run(made: tuple[Path, str], tmp_path: Path) -> None:
    stranger = "<script>document.body.append('a stranger was here')</script>"
    page = made[1].replace("<footer>", f"<footer>{stranger}")
    found = outcome(page, "result.text = document.body.innerText.includes('a stranger');", tmp_path)
    assert found == {"text": False}


@pytest.mark.parametrize("width", [390, 1300])
def test_nothing_is_wider_than_the_window(made: tuple[Path, str], tmp_path: Path, width: int) -> None:
    frame = """
    const own = document.documentElement;
    result.page = own.scrollWidth; result.window = own.clientWidth;
    """
    found = outcome(made[1], frame, tmp_path, width)
    assert found["page"] <= found["window"]
