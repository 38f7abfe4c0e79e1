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
from fabricate import ANNEALED, TEST, fabricate
from PIL import Image
from reading import bare

from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.page.relations import relations_grid
from dgmbench.reporting.relations.ranks import Correlation
from dgmbench.reporting.relations.relations import Relation, Relations
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


@pytest.mark.parametrize("strange", ["-inf", "inf", "nan", "-Infinity"])
def test_what_is_not_finite_sorts_as_a_gap(made: tuple[Path, str], tmp_path: Path, strange: str) -> None:
    steps = f"""
    rowsOf(box)[1].cells[1].dataset.value = "{strange}";
    sort(1); result.up = seen(); sort(1); result.down = seen();
    """
    found = outcome(made[1], steps, tmp_path)
    assert found["up"] == ["pixelcnn_gray", "gan", "ppca", "vae_gray"]
    assert found["down"] == ["ppca", "gan", "pixelcnn_gray", "vae_gray"]


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
    fid = "FID (domain) ↓"
    assert head == ["model", fid, f"{fid} ±", f"{fid} kind", f"{fid} seeds", f"{fid} images"]
    assert [line[0] for line in lines] == ["pixelcnn_gray", "vae_gray"]
    frame = read_records(made[0] / "results" / "digits" / "vae_gray" / "results.csv")
    mean = frame.loc[frame["metric"] == "fid_domain", "value"].mean()
    assert float(lines[1][1]) == pytest.approx(mean, rel=1e-15)
    assert float(lines[1][2]) > 0
    assert lines[1][3:] == ["estimate", "3", str(ANNEALED)]


def saved(page: str, folder: Path, name: str, steps: str = "") -> list[dict[str, str]]:
    """The CSV file of a table, a mapping by head for each row."""
    click = f"""{steps}; document.querySelector('.table[data-name="{name}"] .csv').click();"""
    head, *lines = csv.reader(io.StringIO(saved_by(page, click, folder, f"{name}.csv")))
    assert len(set(head)) == len(head), "two columns have one name"
    return [dict(zip(head, line, strict=True)) for line in lines]


def test_csv_says_which_bound_a_likelihood_is_and_of_how_many_images(
    made: tuple[Path, str], tmp_path: Path
) -> None:
    rows = {row["model"].split(" ")[0]: row for row in saved(made[1], tmp_path, "digits-gray-likelihood")}
    head = next(head for head in rows["gan"] if head.startswith("log-likelihood") and "nats" in head)
    found = {model: tuple(row[f"{head} {own}"] for own in ("kind", "bound", "seeds", "images"))
             for model, row in rows.items()}  # fmt: skip
    assert found["gan"] == ("lower_bound", "AIS", "2", str(ANNEALED))
    assert found["vae_gray"] == ("lower_bound", "IS-500", "3", str(TEST))
    assert found["pixelcnn_gray"][:2] == ("exact", "")
    assert rows["gan"]["model"] == "gan 1 of 3 seeds diverged"


def test_csv_holds_no_formula(made: tuple[Path, str], tmp_path: Path) -> None:
    steps = """
    const cell = document.querySelector('.table[data-name="runs"] tbody th');
    cell.textContent = "=SUM(A1:A9)"; cell.nextElementSibling.textContent = "-1.5";
    """
    first = saved(made[1], tmp_path, "runs", steps)[0]
    assert first["model"] == "'=SUM(A1:A9)" and first["data set"] == "-1.5"
    assert first["seed"] == "0"


def test_csv_of_relations_has_heads_and_intervals_of_its_own(tmp_path: Path) -> None:
    correlations = Correlation(0.5, 10, 0.04, -0.1, 0.8), Correlation(0.25, 12, 0.3, groups=4)
    grid = relations_grid(Relations("d", "gray", [Relation("a", "b", 10, *correlations)]))
    assert len({head.title for head in grid.heads}) == len(grid.heads)
    entries = dict(zip([head.title for head in grid.heads[1:]], grid.lines[0].entries, strict=True))
    assert entries["ρ over models"].facts == (("low", "-0.1"), ("high", "0.8"))
    assert entries["models (seeds)"].text == "4 (12)" and entries["models (seeds)"].value is None


def test_heads_show_that_they_explain_themselves(made: tuple[Path, str], tmp_path: Path) -> None:
    steps = """
    const line = (element) => getComputedStyle(element).textDecorationLine;
    result.head = line(head(1).querySelector("button")); result.row = line(box.querySelector("tbody th"));
    """
    assert outcome(made[1], steps, tmp_path) == {"head": "underline", "row": "none"}


@pytest.mark.parametrize(("width", "stops"), [(500, True), (1300, False)])
def test_a_figure_is_a_stop_of_the_keyboard_only_where_it_scrolls(
    invented: tuple[Path, dict[str, Any]], tmp_path: Path, width: int, stops: bool
) -> None:
    root, settings = invented
    picture = Picture(tmp_path / "wide.png", "curves", "digits", "gray", "Curves", "curves")
    Image.new("RGB", (2400 if stops else 600, 40)).save(picture.path)
    page = bare(root, settings, [picture]).source
    steps = """
    addEventListener("load", () => {
      result.stop = document.querySelector("figure[tabindex]").tabIndex;
      document.title = JSON.stringify(result);
    });
    """
    assert outcome(page, steps, tmp_path, width) == {"stop": 0 if stops else -1}


def test_scripts_that_the_page_does_not_know_do_not_run(made: tuple[Path, str], tmp_path: Path) -> None:
    stranger = "<script>document.body.append('a stranger was here')</script>"
    page = made[1].replace("<footer>", f"<footer>{stranger}")
    found = outcome(page, "result.text = document.body.innerText.includes('a stranger');", tmp_path)
    assert found == {"text": False}


def test_in_a_narrow_window_long_row_heads_wrap(made: tuple[Path, str], tmp_path: Path) -> None:
    steps = """
    const own = box.querySelector("tbody th");
    own.textContent = "sample quality and the distance to the nearest of all training images";
    result.lines = own.offsetHeight;
    """
    found = outcome(made[1], steps, tmp_path, 390)
    assert found["lines"] > 40, "one line"


@pytest.mark.parametrize("width", [390, 1300])
def test_nothing_is_wider_than_the_window(made: tuple[Path, str], tmp_path: Path, width: int) -> None:
    frame = """
    const own = document.documentElement;
    result.page = own.scrollWidth; result.window = own.clientWidth;
    """
    found = outcome(made[1], frame, tmp_path, width)
    assert found["page"] <= found["window"]
