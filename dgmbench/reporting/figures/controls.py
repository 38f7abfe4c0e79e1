"""Figures of what the controls found: any control's plots as small multiples, its images as sheets."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgmbench.reporting.figures import pictures
from dgmbench.reporting.figures.canvas import Picture, canvas, line_style, save, spoken
from dgmbench.reporting.findings import ControlFinding, Panel, Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VIEW = "gray"
# Images of a sheet that are shown, unless the sheet says how many to a row; its greatest width in pixels.
SHOWN, SHEET_WIDTH = 36, 350
# A curve of more points than this is spoken as its ends and extremes.
_SPOKEN_POINTS = 8
_DASHES = ((0, (5, 3)), (0, (1, 1.5)), (0, (7, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
_NAME_WIDTH = 26


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
    return Picture(path, role, finding.dataset, VIEW, title, alt, finding.control)


def _draw_sheet(finding: ControlFinding, sheet: Sheet, path: Path) -> Picture:
    """Images pixel by pixel, every source pixel a whole number of pixels wide."""
    shown = sheet.images if sheet.columns else sheet.images[:SHOWN]
    columns = sheet.columns or math.ceil(math.sqrt(len(shown)))
    tiled = pictures.tile(pictures.to_bytes(shown, sheet.levels), columns)
    pictures.write_png(pictures.enlarge(tiled, SHEET_WIDTH), path)
    some = len(shown) < len(sheet.images)
    title = f"{sheet.title} (first {len(shown)} of {len(sheet.images):,})" if some else sheet.title
    return _picture(finding, path, "control images", title, f"{len(shown)} images: {sheet.title}")


# Plots


def draw_panels(panels: Sequence[Panel], path: Path) -> None:
    """Small multiples; a curve's name has the same colour and marker in all of them."""
    names = list(dict.fromkeys(curve["name"] for panel in panels for curve in panel["curves"]))
    styles = {name: line_style(place) for place, name in enumerate(names)}
    columns = 2 if len(panels) in (2, 4) else min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    with canvas({1: 6.0, 2: 9.2, 3: 10.8}[columns], max(_height(panel) for panel in panels) * rows) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _draw_panel(axes, panel, styles)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_axis_off()
        save(figure, path, gap=0.12)


def _height(panel: Panel) -> float:
    """Inches: categories are rows, and the legend below takes a line for each name."""
    entries = len(panel["levels"]) + len(panel["curves"])
    rows = len(panel["x_names"] or ())
    return (max(2.0, 0.45 * rows) if rows else 2.7) + 0.7 + 0.18 * entries


def _draw_panel(axes: Axes, panel: Panel, styles: Mapping[str, dict[str, Any]]) -> None:
    categories = panel["x_names"]
    for place, curve in enumerate(panel["curves"]):
        if categories:
            offset = 0.36 * ((place + 0.5) / len(panel["curves"]) - 0.5)
            _draw_dots(axes, curve, styles[curve["name"]], offset)
        else:
            _draw_curve(axes, curve, styles[curve["name"]])
    for place, (name, level) in enumerate(panel["levels"].items()):
        line = axes.axvline if categories else axes.axhline
        line(level, color=".25", linewidth=1.2, linestyle=_DASHES[place % len(_DASHES)], label=name)
    _label_axes(axes, panel)
    if panel["levels"] or len(panel["curves"]) > 1:
        _legend_below(axes)


def _legend_below(axes: Axes) -> None:
    """A legend under the axis label, where it covers no data whatever the panel's height."""
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure()
    assert figure is not None
    below = axes.transAxes + ScaledTranslation(0, -0.5, figure.dpi_scale_trans)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, 0), borderaxespad=0,
                bbox_transform=below)  # fmt: skip


def _draw_curve(axes: Axes, curve: Mapping[str, Any], style: dict[str, Any]) -> None:
    shown = style if len(curve["x"]) <= 20 else style | {"marker": ""}
    axes.plot(curve["x"], curve["y"], markersize=5, linewidth=1.4, label=curve["name"], **shown)
    low, high = _band(curve)
    if len(curve["x"]) == 1:
        errors = _errors(curve["y"], low, high)
        axes.errorbar(curve["x"], curve["y"], yerr=errors, fmt="none", ecolor=style["color"], capsize=4)
    elif curve["low"] or curve["high"]:
        axes.fill_between(curve["x"], low, high, color=style["color"], alpha=0.18, linewidth=0)


def _draw_dots(axes: Axes, curve: Mapping[str, Any], style: dict[str, Any], offset: float) -> None:
    """One row per category, so that names of any length can be read; several curves a little apart."""
    rows = [x + offset for x in curve["x"]]
    errors = _errors(curve["y"], *_band(curve))
    axes.errorbar(curve["y"], rows, xerr=errors, fmt=style["marker"], color=style["color"], capsize=4,
                  markersize=6, linewidth=1.4, label=curve["name"])  # fmt: skip


def _band(curve: Mapping[str, Any]) -> tuple[Sequence[float], Sequence[float]]:
    """Lower and upper edge; the curve itself where an edge is missing."""
    return curve["low"] or curve["y"], curve["high"] or curve["y"]


def _errors(y: Sequence[float], low: Sequence[float], high: Sequence[float]) -> list[list[float]]:
    below = [max(0.0, value - edge) for value, edge in zip(y, low, strict=True)]
    return [below, [max(0.0, edge - value) for value, edge in zip(y, high, strict=True)]]


def _label_axes(axes: Axes, panel: Panel) -> None:
    axes.set_title(textwrap.fill(panel["title"], 52), fontsize=10, loc="left")
    if panel["x_names"]:
        names = [textwrap.fill(str(name), _NAME_WIDTH) for name in panel["x_names"]]
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set(xlabel=panel["y_label"], ylabel=panel["x_label"])
        axes.margins(x=0.08)
        axes.grid(axis="y", visible=False)
        return
    axes.set(xlabel=panel["x_label"], ylabel=panel["y_label"])
    values = sorted({float(x) for curve in panel["curves"] for x in curve["x"]})
    if panel["log_x"]:
        # A zero has no logarithm; it stands one step below the least positive value.
        axes.set_xscale("log" if values and values[0] > 0 else "symlog", **_linear_part(values))
    if 0 < len(values) <= 8:
        ticks = _ticks(values, panel["log_x"])
        axes.set_xticks(ticks, [_tick(value) for value in ticks])
        axes.set_xticks([], minor=True)


def _linear_part(values: Sequence[float]) -> dict[str, float]:
    positive = [value for value in values if value > 0]
    return {} if not positive or values[0] > 0 else {"linthresh": positive[0]}


def _ticks(values: Sequence[float], log: bool) -> list[float]:
    """The measured places, from the largest down, less those that lie too close to the one before."""
    lowest = math.log(min((value for value in values if value > 0), default=1.0)) - math.log(10)
    places = [math.log(value) if value > 0 else lowest for value in values] if log else list(values)
    least = 0.09 * (places[-1] - places[0])
    kept = [len(values) - 1]
    for index in reversed(range(len(values) - 1)):
        if places[kept[-1]] - places[index] >= least:
            kept.append(index)
    return [values[index] for index in reversed(kept)]


def _tick(value: float) -> str:
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k" if value >= 1e4 else f"{value:,g}"


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
