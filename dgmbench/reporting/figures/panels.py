"""The plots of what a control found: small multiples of curves, dots in rows, and stacked bars."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgmbench.reporting.figures.canvas import canvas, line_style, plain_decades, save
from dgmbench.reporting.findings import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASHES = ((0, (5, 3)), (0, (1, 1.5)), (0, (7, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
# Parts of a bar, told apart by their hatches too.
_HATCHES = ("", "///", "...", "xxx", "\\\\\\\\", "++")
_NAME_WIDTH = 26


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
    """Inches: categories are rows, with room for each curve; the legend below takes a line for each name."""
    entries = len(panel["levels"]) + len(panel["curves"])
    side_by_side = 1 if panel.get("stacked") else len(panel["curves"])
    rows = len(panel["x_names"] or ()) * max(0.45, 0.13 * side_by_side)
    return (max(2.0, rows) if rows else 2.7) + 0.7 + 0.18 * entries


def _draw_panel(axes: Axes, panel: Panel, styles: Mapping[str, dict[str, Any]]) -> None:
    if panel["x_names"] and panel.get("stacked"):
        _draw_bars(axes, panel, styles)
    elif panel["x_names"]:
        # Rows of many curves take most of the height between two categories.
        count = len(panel["curves"])
        for place, curve in enumerate(panel["curves"]):
            _draw_dots(
                axes, curve, styles[curve["name"]], min(0.75, 0.18 * count) * ((place + 0.5) / count - 0.5)
            )
    else:
        for curve in panel["curves"]:
            _draw_curve(axes, curve, styles[curve["name"]], bool(panel.get("log_y")))
    for place, (name, level) in enumerate(panel["levels"].items()):
        line = axes.axvline if panel["x_names"] else axes.axhline
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


def _draw_curve(axes: Axes, curve: Mapping[str, Any], style: dict[str, Any], log: bool) -> None:
    shown = style if len(curve["x"]) <= 20 else style | {"marker": ""}
    axes.plot(curve["x"], curve["y"], markersize=5, linewidth=1.4, label=curve["name"], **shown)
    low, high = _band(curve)
    if log:
        # An edge that a logarithm does not have is drawn far below its curve.
        low = [edge if edge > 0 else 1e-3 * value for edge, value in zip(low, curve["y"], strict=True)]
    if len(curve["x"]) == 1:
        errors = _errors(curve["y"], low, high)
        axes.errorbar(curve["x"], curve["y"], yerr=errors, fmt="none", ecolor=style["color"], capsize=4)
    elif curve["low"] or curve["high"]:
        axes.fill_between(curve["x"], low, high, color=style["color"], alpha=0.18, linewidth=0)


def _draw_dots(axes: Axes, curve: Mapping[str, Any], style: dict[str, Any], offset: float) -> None:
    """One row per category, so that names of any length can be read; several curves a little apart."""
    rows = [x + offset for x in curve["x"]]
    errors = _errors(curve["y"], *_band(curve))
    axes.errorbar(curve["y"], rows, xerr=errors, fmt=style["marker"], color=style["color"], capsize=3,
                  markersize=5.5, linewidth=1.4, label=curve["name"])  # fmt: skip


def _draw_bars(axes: Axes, panel: Panel, styles: Mapping[str, dict[str, Any]]) -> None:
    """One bar per category, its parts in the order of the curves with their numbers in them."""
    from matplotlib.colors import to_rgba

    ends = dict.fromkeys(range(len(panel["x_names"])), 0.0)
    for place, curve in enumerate(panel["curves"]):
        colour = styles[curve["name"]]["color"]
        rows = [round(x) for x in curve["x"]]
        starts = [ends[row] for row in rows]
        axes.barh(rows, curve["y"], left=starts, height=0.7, color=to_rgba(colour, 0.55), edgecolor=colour,
                  hatch=_HATCHES[place % len(_HATCHES)], linewidth=0.8, label=curve["name"])  # fmt: skip
        for row, start, part in zip(rows, starts, curve["y"], strict=True):
            ends[row] = start + part
            if part > 0:
                axes.text(start + part / 2, row, f"{part:g}", ha="center", va="center", fontsize=9,
                          bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2})  # fmt: skip


def _band(curve: Mapping[str, Any]) -> tuple[Sequence[float], Sequence[float]]:
    """Lower and upper edge; the curve itself where an edge is missing."""
    return curve["low"] or curve["y"], curve["high"] or curve["y"]


def _errors(y: Sequence[float], low: Sequence[float], high: Sequence[float]) -> list[list[float]]:
    below = [max(0.0, value - edge) for value, edge in zip(y, low, strict=True)]
    return [below, [max(0.0, edge - value) for value, edge in zip(y, high, strict=True)]]


def _label_axes(axes: Axes, panel: Panel) -> None:
    axes.set_title(textwrap.fill(panel["title"], 40), fontsize=10, loc="left")
    if panel["x_names"]:
        names = [textwrap.fill(str(name), _NAME_WIDTH) for name in panel["x_names"]]
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set(xlabel=panel["y_label"], ylabel=panel["x_label"])
        axes.margins(x=0 if panel.get("stacked") else 0.08)
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
    if panel.get("log_y"):
        _log_heights(axes, panel)


def _log_heights(axes: Axes, panel: Panel) -> None:
    """A logarithmic axis, from somewhat below the least value; edges of bands may go on beyond it."""
    values = [y for curve in panel["curves"] for y in (*curve["y"], *(curve["high"] or ()))]
    values += panel["levels"].values()
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    if not positive:
        return
    axes.set_yscale("log")
    low, high = min(positive), max(positive)
    axes.set_ylim(low / 1.6, high * 1.4)
    if high < 500 * low:
        plain_decades(axes)


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
