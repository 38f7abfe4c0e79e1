"""What a control found, from files to pictures: read back whole, drawn for any shape, spoken in numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricate import plant
from PIL import Image

from dgmbench.controls.control import PREFIX
from dgmbench.errors import CheckpointError
from dgmbench.files import write_json
from dgmbench.reporting.figures import controls
from dgmbench.reporting.figures.controls import draw, spoken_panel
from dgmbench.reporting.figures.panels import draw_panels
from dgmbench.reporting.findings import ControlFinding, Sheet, load_findings
from dgmbench.reporting.records import CONTROL


def panel(**other: Any) -> dict[str, Any]:
    base = {"title": "t", "x_label": "x", "y_label": "y", "levels": {}, "log_x": False, "x_names": None}
    return base | {"curves": [curve()]} | other


def curve(**other: Any) -> dict[str, Any]:
    return {"name": "c", "x": [1.0, 2.0], "y": [3.0, 4.0], "low": None, "high": None} | other


def finding(*panels: dict[str, Any], sheets: tuple[Sheet, ...] = ()) -> ControlFinding:
    return ControlFinding(
        "d", "c", "Title", "Claim", "Source", "supported", "Sentence", tuple(panels), sheets
    )


def test_a_finding_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written = plant(tmp_path, "digits", outcome="undecided")
    (found,) = load_findings(tmp_path, ["digits"], ["planted"])
    assert (found.outcome, found.sentence) == ("undecided", written.sentence)
    assert (found.claim, found.prefix) == ("A metric is fooled by planted copies.", "control/planted/")
    assert found.panels[0]["curves"][0]["y"] == list(written.panels[0].curves[0].y)
    assert found.panels[1]["x_names"] == written.panels[1].x_names
    for sheet, original in zip(found.sheets, written.sheets, strict=True):
        assert (sheet.images == original.images).all()
        assert (sheet.title, sheet.levels) == (original.title, original.levels)


def test_the_prefix_is_that_of_the_controls() -> None:
    assert f"{PREFIX}/" == CONTROL


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outcome": "maybe"}, "'maybe' is not one of"),
        ({"sheets": 3}, "carry out"),
        ({"panels": None}, "carry out"),
    ],
)
def test_files_that_cannot_be_read_are_told(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    plant(tmp_path, "digits")
    path = tmp_path / "digits" / "control-planted" / "finding.json"
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | change)
    with pytest.raises(CheckpointError, match=said):
        load_findings(tmp_path, ["digits"], ["planted"])


def test_a_control_that_was_not_carried_out_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="control stage"):
        load_findings(tmp_path, ["digits"], ["planted"])


def test_files_and_roles(tmp_path: Path) -> None:
    plant(tmp_path, "digits")
    (found,) = load_findings(tmp_path, ["digits"], ["planted"])
    drawn = draw(found, tmp_path / "figures")
    names = ["planted", "planted-images-1", "planted-images-2"]
    assert [picture.path.name for picture in drawn] == [f"digits-control-{name}.png" for name in names]
    assert [picture.role for picture in drawn] == ["control", "control images", "control images"]
    assert drawn[1].title == "centres (first 36 of 100)"
    before = [picture.path.read_bytes() for picture in drawn]
    assert [picture.path.read_bytes() for picture in draw(found, tmp_path / "again")] == before


def test_sheets_show_every_pixel_as_a_whole_number_of_pixels(tmp_path: Path) -> None:
    images = np.array([[[[0, 1], [2, 3]]], [[[3, 2], [1, 0]]], [[[1, 1], [1, 1]]]], dtype=np.uint8)
    (picture,) = draw(finding(sheets=(Sheet("three in a row", images, 4, 3),)), tmp_path)
    pixels = np.asarray(Image.open(picture.path))
    factor = controls.SHEET_WIDTH // 10
    assert pixels.shape == (4 * factor, 10 * factor)
    source = pixels[factor // 2 :: factor, factor // 2 :: factor]
    assert source[1:3, 1:3].tolist() == [[0, 85], [170, 255]]
    assert (source[1:3, 7:9] == 85).all()
    assert (pixels == source.repeat(factor, 0).repeat(factor, 1)).all()


def test_numbers_are_spoken() -> None:
    said = spoken_panel(panel(levels={"truth": 14.256, "floor": -2.0}))
    assert said == "t: y over x. c: 3 at 1, 4 at 2; dashed: truth at 14.26, floor at −2."
    named = spoken_panel(panel(x_names=["p", "q"], curves=[curve(x=[0.0, 1.0], y=[10000.0, -0.51234])]))
    assert named == "t: y. c: 10,000 for p, −0.5123 for q."


def test_a_long_curve_is_spoken_by_its_ends_and_extremes() -> None:
    x = [float(i) for i in range(20)]
    said = spoken_panel(panel(curves=[curve(x=x, y=[(i - 5) ** 2 for i in x])]))
    assert said == "t: y over x. c: from 25 at 0 to 196 at 19, lowest 0 at 5, highest 196 at 19."


@pytest.mark.parametrize(
    "shown",
    [
        panel(),
        panel(log_x=True, curves=[curve(x=[0.0, 100.0])]),
        panel(curves=[curve(x=[1.0], y=[2.0], low=[1.0], high=[4.0])]),
        panel(curves=[curve(low=[2.5, 3.5])]),
        panel(curves=[curve(y=[float("-inf"), 1.0])]),
        panel(curves=[curve(name=f"c{i}") for i in range(9)], levels={f"l{i}": float(i) for i in range(5)}),
        panel(x_names=["a" * 60, "b"], curves=[curve(x=[0.0, 1.0], low=[1.0, 1.0], high=[9.0, 9.0])]),
        panel(curves=[curve(x=[], y=[])], levels={"only": 1.0}),
        panel(log_y=True, curves=[curve(y=[0.0, -1.0])]),
        panel(log_y=True, curves=[curve(low=[-1.0, 3.0], high=[4.0, 5.0])]),
        panel(stacked=True, x_names=["a", "b"], curves=[curve(x=[0.0, 1.0])]),
    ],
    ids=[
        "plain",
        "log of zero",
        "one point",
        "half a band",
        "infinite",
        "many",
        "categories",
        "no points",
        "no logarithm",
        "half a logarithm",
        "parts",
    ],
)
def test_any_panel_can_be_drawn(tmp_path: Path, shown: dict[str, Any]) -> None:
    draw_panels([shown], tmp_path / "p.png")
    assert np.asarray(Image.open(tmp_path / "p.png").convert("L")).std() > 5
    assert spoken_panel(shown).startswith("t: y")


def test_parts_of_a_whole_fill_one_bar(tmp_path: Path) -> None:
    """Colours along each bar change where one part ends and the next begins, and nothing stands at zero."""
    places = {"x": [0.0, 1.0]}
    parts = [curve(name="good", y=[1.0, 10.0], **places), curve(name="poor", y=[9.0, 0.0], **places)]
    draw_panels([panel(stacked=True, x_names=["few", "all"], curves=parts)], tmp_path / "p.png")
    pixels = np.asarray(Image.open(tmp_path / "p.png").convert("RGB")).astype(int)
    blue = (pixels[..., 2] - pixels[..., 0] > 60).sum(1)
    orange = (pixels[..., 0] - pixels[..., 2] > 60).sum(1)
    rows = np.flatnonzero(blue + orange > 100)
    first, second = rows[: len(rows) // 2 - 2], rows[len(rows) // 2 + 2 :]
    assert orange[first].mean() > 5 * blue[first].mean() > 0
    assert orange[second].max() == 0 and blue[second].mean() > 100


def test_a_fall_by_orders_of_magnitude_is_seen_on_a_logarithmic_axis(tmp_path: Path) -> None:
    """A curve from 1 to 1/1000 falls as far from 1/10 to 1/100 as from 1 to 1/10."""
    falling = [curve(x=[1.0, 2.0, 3.0, 4.0], y=[1.0, 0.1, 0.01, 0.001])]
    lows = {}
    for log in (False, True):
        draw_panels([panel(log_y=log, curves=falling)], tmp_path / "p.png")
        pixels = np.asarray(Image.open(tmp_path / "p.png").convert("RGB")).astype(int)
        blue = pixels[..., 2] - pixels[..., 0] > 100
        columns = np.flatnonzero(blue.any(0))
        middle = columns[0] + (columns[-1] - columns[0]) // 2
        heights = np.flatnonzero(blue.any(1))
        lows[log] = (np.flatnonzero(blue[:, middle]).mean() - heights[0]) / (heights[-1] - heights[0])
    assert lows[True] == pytest.approx(0.5, abs=0.05)
    assert lows[False] > 0.9


def test_small_multiples_grow_in_rows(tmp_path: Path) -> None:
    sizes = {}
    for count in (1, 2, 3, 4, 5):
        draw_panels([panel() for _ in range(count)], tmp_path / "p.png")
        sizes[count] = Image.open(tmp_path / "p.png").size
    assert [sizes[count][0] for count in (1, 2, 3, 4, 5)] == [660, 1012, 1188, 1012, 1188]
    assert sizes[4][1] == sizes[5][1] == pytest.approx(2 * sizes[1][1], abs=1)
    assert sizes[1][1] == sizes[2][1] == sizes[3][1]
