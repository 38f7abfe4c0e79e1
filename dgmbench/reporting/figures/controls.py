"""Figures of what the controls found: any control's plots as small multiples, its images as sheets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dgmbench.reporting.figures import pictures
from dgmbench.reporting.figures.canvas import Picture, spoken
from dgmbench.reporting.figures.panels import draw_panels
from dgmbench.reporting.findings import ControlFinding, Panel, Sheet

VIEW = "gray"
_CAPTION = (
    "Bands and bars: 95 %, over repetitions and, where test images are scored, over those too; shares of "
    "trials have binomial intervals. On a logarithmic axis the lower end of a band may be cut. Dashed and "
    "dotted lines are levels to compare with."
)
# Images of a sheet that are shown, unless the sheet says how many to a row; its greatest width in pixels.
SHOWN, SHEET_WIDTH = 36, 350
# A curve of more points than this is spoken as its ends and extremes.
_SPOKEN_POINTS = 8


def draw(finding: ControlFinding, folder: Path) -> list[Picture]:
    """The plots of a finding in one picture, then a picture for each of its sheets."""
    stem = f"{finding.dataset}-control-{finding.control}"
    drawn = []
    if finding.panels:
        path = folder / f"{stem}.png"
        draw_panels(finding.panels, path)
        alt = " ".join(spoken_panel(panel) for panel in finding.panels)
        drawn.append(_picture(finding, path, "control", finding.title, alt))
    for index, sheet in enumerate(finding.sheets, start=1):
        if len(sheet.images):
            drawn.append(_draw_sheet(finding, sheet, folder / f"{stem}-images-{index}.png"))
    return drawn


def _picture(finding: ControlFinding, path: Path, role: str, title: str, alt: str) -> Picture:
    caption = _CAPTION if role == "control" else title
    return Picture(path, role, finding.dataset, VIEW, title, alt, finding.control, caption)


def _draw_sheet(finding: ControlFinding, sheet: Sheet, path: Path) -> Picture:
    """Images pixel by pixel, every source pixel a whole number of pixels wide."""
    shown = sheet.images if sheet.columns else sheet.images[:SHOWN]
    columns = sheet.columns or math.ceil(math.sqrt(len(shown)))
    tiled = pictures.tile(pictures.to_bytes(shown, sheet.levels), columns)
    pictures.write_png(pictures.enlarge(tiled, SHEET_WIDTH), path)
    some = len(shown) < len(sheet.images)
    title = f"{sheet.title} (first {len(shown)} of {len(sheet.images):,})" if some else sheet.title
    return _picture(finding, path, "control images", title, f"{len(shown)} images: {sheet.title}")


# Words


def spoken_panel(panel: Panel) -> str:
    """A plot in words, with its numbers."""
    names = panel["x_names"]
    curves = [f"{curve['name']}: {_spoken_curve(curve, names)}" for curve in panel["curves"]]
    said = f"{panel['title']}: {panel['y_label']}" + (". " if names else f" over {panel['x_label']}. ")
    levels = [f"{name} at {spoken(value)}" for name, value in panel["levels"].items()]
    dashed = [f"dashed: {', '.join(levels)}"] if levels else []
    return said + "; ".join([*curves, *dashed]) + "."


def _spoken_curve(curve: Mapping[str, Any], names: Sequence[str] | None) -> str:
    points = [
        f"{spoken(y)} {f'for {names[round(x)]}' if names else f'at {spoken(x)}'}"
        for x, y in zip(curve["x"], curve["y"], strict=True)
    ]
    if len(points) <= _SPOKEN_POINTS or names:
        return ", ".join(points)
    lowest, highest = (points[curve["y"].index(pick(curve["y"]))] for pick in (min, max))
    return f"from {points[0]} to {points[-1]}, lowest {lowest}, highest {highest}"
