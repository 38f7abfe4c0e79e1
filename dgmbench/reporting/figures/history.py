"""Headline metrics over the revisions that changed them: a panel per metric and view, a line per model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dgmbench.reporting.comparison.cells import Cell
from dgmbench.reporting.figures.canvas import canvas, line_style, save
from dgmbench.reporting.headlines import HEADLINES, ModelHeadlines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ARROWS = {"higher": "↑", "lower": "↓", "one": "→ 1", "none": ""}
# Beyond so many models, names beside the lines run into each other.
MOST_NAMES = 16
# Of one model in one headline: the cell at the place of each revision that has one.
Line = Mapping[int, Cell]
Lines = dict[tuple[str, str], dict[str, dict[int, Cell]]]


def lines_of(found: Sequence[Sequence[ModelHeadlines]], models: Sequence[str] = ()) -> Lines:
    """By (data set and view, headline) and model, its cells by the place of the revision.

    found: the headlines at each revision. models: only these, where there are any.
    """
    lines: Lines = {}
    for place, at_revision in enumerate(found):
        for own in at_revision:
            if models and own.model not in models:
                continue
            for key, cell in own.cells.items():
                panel = lines.setdefault((f"{own.dataset}, {own.view}", key), {})
                panel.setdefault(own.model, {})[place] = cell
    return lines


def draw_history(lines: Lines, names: Sequence[str], path: Path) -> None:
    """Draw panels, rows by headline and columns by data set and view, with 95 % intervals over trainings.

    names: of the revisions, under the axis.
    """
    groups = list(dict.fromkeys(group for group, _ in lines))
    rows = [headline for headline in HEADLINES if any(key == headline.key for _, key in lines)]
    places = {model: i for i, model in enumerate(dict.fromkeys(m for panel in lines.values() for m in panel))}
    with canvas(5.2 * len(groups) + 0.6, 2.6 * len(rows) + 0.6) as figure:
        grid = figure.subplots(len(rows), len(groups), squeeze=False, sharex=True)
        for row, headline in enumerate(rows):
            for column, group in enumerate(groups):
                axes, panel = grid[row][column], lines.get((group, headline.key), {})
                title = f"{group}: {headline.label} {_ARROWS[headline.better]}".rstrip()
                many = f" ({len(panel)} models: name some)" if len(panel) > MOST_NAMES else ""
                axes.set_title(title + many, fontsize=9, loc="left")
                _draw_panel(axes, panel, places, names)
        save(figure, path)


def _draw_panel(
    axes: Axes, panel: Mapping[str, Line], places: Mapping[str, int], names: Sequence[str]
) -> None:
    for model, line in panel.items():
        xs = sorted(line)
        means = [line[x].mean for x in xs]
        halves = [line[x].half_width or 0.0 for x in xs]
        style = line_style(places[model])
        axes.errorbar(xs, means, halves, linewidth=1, markersize=3.5, elinewidth=0.6, **style)
    if 0 < len(panel) <= MOST_NAMES:
        _name_ends(axes, panel, places)
    axes.set_xticks(range(len(names)), list(names), rotation=60, ha="right", fontsize=6)
    axes.set_xlim(-0.5, len(names) - 0.5 + 0.3 * len(names) * (0 < len(panel) <= MOST_NAMES))


def _name_ends(axes: Axes, panel: Mapping[str, Line], places: Mapping[str, int]) -> None:
    """Each model's name beside its last point, moved apart where two would overlap."""
    low, high = axes.get_ylim()
    ends = sorted((line[max(line)].mean, model, max(line)) for model, line in panel.items())
    last = float("-inf")
    for mean, model, _ in ends:
        last = max(mean, last + (high - low) / 18)
        x = max(end for _, _, end in ends) + 0.3
        colour = line_style(places[model])["color"]
        axes.annotate(model, (x, last), fontsize=6, color=colour, va="center", annotation_clip=False)
