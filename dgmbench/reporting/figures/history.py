"""Headline metrics over the revisions that changed them: a panel per metric and view, a line per model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dgmbench.errors import SettingsError, suggest
from dgmbench.metrics import ARROWS
from dgmbench.reporting.comparison.cells import Cell
from dgmbench.reporting.figures.canvas import canvas, line_style, save
from dgmbench.reporting.figures.labels import Label, label_ends
from dgmbench.reporting.headlines import HEADLINES, ModelHeadlines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Beyond so many models, names beside the lines run into each other.
MOST_NAMES = 16
# Left of the first revision and right of the last, in revisions.
_MARGIN = 0.3
# Of one model in one headline: the cell at the place of each revision that has one.
Line = Mapping[int, Cell]
Lines = dict[tuple[str, str], dict[str, dict[int, Cell]]]


def lines_of(found: Sequence[Sequence[ModelHeadlines]], models: Sequence[str] = ()) -> Lines:
    """By (data set and view, headline) and model, its cells by the place of the revision.

    found: the headlines at each revision. models: only these, where there are any.

    Raises:
        SettingsError: if no revision has one of `models`.
    """
    known = {own.model for at_revision in found for own in at_revision}
    for name in models:
        if name not in known:
            raise SettingsError(f"no revision has a model '{name}': {suggest(name, known)}")
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
    with canvas(5.6 * len(groups) + 0.6, 3.0 * len(rows) + 0.6) as figure:
        grid = figure.subplots(len(rows), len(groups), squeeze=False, sharex=True)
        for row, headline in enumerate(rows):
            for column, group in enumerate(groups):
                axes, panel = grid[row][column], lines.get((group, headline.key), {})
                title = f"{group}: {headline.label} {ARROWS[headline.better]}".rstrip()
                many = f" ({len(panel)} models: name some)" if len(panel) > MOST_NAMES else ""
                axes.set_title(title + many, fontsize=9, loc="left")
                _draw_panel(axes, panel, places, names)
        save(figure, path)


def _draw_panel(
    axes: Axes, panel: Mapping[str, Line], places: Mapping[str, int], names: Sequence[str]
) -> None:
    for model, line in panel.items():
        for xs in segments(line):
            means = [line[x].mean for x in xs]
            halves = [line[x].half_width or 0.0 for x in xs]
            style = line_style(places[model])
            axes.errorbar(xs, means, halves, linewidth=1, markersize=3.5, elinewidth=0.6, **style)
    axes.set_xticks(range(len(names)), list(names), rotation=60, ha="right", fontsize=6)
    axes.set_xlim(-_MARGIN, len(names) - 1 + _MARGIN)
    if 0 < len(panel) <= MOST_NAMES:
        ends = {model: (max(line), line[max(line)].mean) for model, line in panel.items()}
        label_ends(axes, [Label(m, *end, line_style(places[m])["color"]) for m, end in ends.items()])


def segments(line: Line) -> list[list[int]]:
    """Places to join: neighbours with the same metric behind the headline; two metrics are no trend."""
    found: list[list[int]] = []
    for x in sorted(line):
        joined = found and found[-1][-1] == x - 1 and line[x - 1].metric == line[x].metric
        if joined:
            found[-1].append(x)
        else:
            found.append([x])
    return found
