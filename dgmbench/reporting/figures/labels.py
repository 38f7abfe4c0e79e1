"""Names written beside what they name, so that many models are told apart without a legend of colours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dgmbench.reporting.figures.canvas import DPI

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = 8.0
# Pixels of a line of text, and of a character of it on average.
LINE, CHARACTER = SIZE * DPI / 72 * 1.15, SIZE * DPI / 72 * 0.58
# Distances from a point, in pixels, at which a label is tried.
_REACHES = (9, 16, 24, 34, 46, 60, 78, 100)


@dataclass(frozen=True)
class Label:
    """A name, where what it names lies in data coordinates, and its colour."""

    text: str
    x: float
    y: float
    colour: str = "black"


@dataclass(frozen=True)
class _Box:
    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: _Box) -> float:
        """The area that both cover."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        tall = min(self.top, other.top) - max(self.bottom, other.bottom)
        return wide * tall if wide > 0 and tall > 0 else 0.0


def label_points(axes: Axes, labels: Sequence[Label], avoid: Sequence[tuple[float, float]] = ()) -> None:
    """Names beside points, moved away from each other and from all points, with a line where they are far.

    avoid: further places, in data coordinates, that names do not cover.
    The axes must have their limits and words, for the figure is laid out here.
    """
    from matplotlib.patheffects import withStroke

    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.set_layout_engine("constrained")
    figure.draw_without_rendering()
    places = [axes.transData.transform((label.x, label.y)) for label in labels]
    others = [axes.transData.transform(place) for place in avoid]
    taken = [_Box(x - 5, y - 5, x + 5, y + 5) for x, y in (*places, *others)]
    frame = axes.get_window_extent()
    inside = _Box(frame.x0, frame.y0, frame.x1, frame.y1)
    for label, (x, y) in sorted(zip(labels, places, strict=True), key=lambda each: -each[1][1]):
        box = min(_candidates(x, y, label.text), key=lambda each: _cost(each, x, y, taken, inside))
        taken.append(box)
        middle, height = (box.left + box.right) / 2, (box.bottom + box.top) / 2
        far = _distance(box, x, y) > 11
        shift = ((middle - x) * 72 / DPI, (height - y) * 72 / DPI)
        line = {"arrowstyle": "-", "color": ".55", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
        said = axes.annotate(
            label.text, (label.x, label.y), shift, textcoords="offset points", fontsize=SIZE, ha="center",
            va="center", color=_ink(label.colour), arrowprops=line if far else None,
        )  # fmt: skip
        said.set_in_layout(False)
        # Bars of intervals pass behind it.
        said.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _ink(colour: str) -> tuple[float, ...]:
    """A colour made dark enough to read on white."""
    from matplotlib.colors import to_rgb

    return tuple(0.6 * part for part in to_rgb(colour))


def _candidates(x: float, y: float, text: str) -> Iterator[_Box]:
    """Places for a text around a point, the nearest first and to the right first."""
    wide, tall = CHARACTER * len(text), LINE
    for reach in _REACHES:
        for turn in (0, 4, 1, 7, 3, 5, 2, 6):
            across, up = math.cos(turn * math.pi / 4), math.sin(turn * math.pi / 4)
            middle = x + across * reach + round(across) * wide / 2
            height = y + up * reach + round(up) * tall / 2
            yield _Box(middle - wide / 2, height - tall / 2, middle + wide / 2, height + tall / 2)


def _cost(box: _Box, x: float, y: float, taken: Sequence[_Box], inside: _Box) -> float:
    """What speaks against a place: covering others above all, then leaving the axes, then distance."""
    covered = sum(box.overlap(other) for other in taken)
    area = (box.right - box.left) * (box.top - box.bottom)
    outside = area - box.overlap(inside)
    # Rounded, so that among equals the first place is taken.
    return 100 * covered + 100 * outside + round(_distance(box, x, y))


def _distance(box: _Box, x: float, y: float) -> float:
    return math.hypot(_gap(box.left, box.right, x), _gap(box.bottom, box.top, y))


def _gap(low: float, high: float, at: float) -> float:
    return max(low - at, at - high, 0.0)


def label_ends(axes: Axes, labels: Sequence[Label]) -> None:
    """Names to the right of the axes at the heights of lines' ends, apart from each other.

    A thin line leads from an end to its name; an end outside of the axes (a zero on a logarithmic axis) is
    taken to be at their border. The axes must have their limits, and their height the room of a line of text
    for each name (`LINE`).
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.set_layout_engine("constrained")
    figure.draw_without_rendering()
    frame = axes.get_window_extent()
    named = sorted(((_end(axes, label), label) for label in labels), key=lambda each: each[0][1])
    ends, shown = [end for end, _ in named], [label for _, label in named]
    heights = apart([end[1] for end in ends], LINE / frame.height)
    beyond = 16 / frame.width
    for label, end, height in zip(shown, ends, heights, strict=True):
        axes.plot([end[0], 1 + 0.8 * beyond], [end[1], height], transform=axes.transAxes, clip_on=False,
                  color=label.colour, linewidth=0.6, alpha=0.7)  # fmt: skip
        axes.text(1 + beyond, height, label.text, transform=axes.transAxes, fontsize=SIZE, va="center",
                  color=_ink(label.colour))  # fmt: skip


def _end(axes: Axes, label: Label) -> tuple[float, float]:
    """Where a line ends, as fractions of the axes."""
    at = axes.transAxes.inverted().transform(axes.transData.transform((label.x, label.y)))
    across, up = np.nan_to_num(at, nan=0.0).clip(0.0, 1.0)
    return float(across), float(up)


def apart(wanted: Sequence[float], least: float) -> list[float]:
    """Heights as near to the wanted ones (rising) as a least distance between neighbours allows.

    Least squares: neighbours that are too close form a block around the mean of what they want.
    """
    blocks: list[list[float]] = []
    for index, height in enumerate(wanted):
        # Less its distance from the first, what is wanted must not fall.
        blocks.append([height - index * least])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    level = [float(np.mean(block)) for block in blocks for _ in block]
    return [height + index * least for index, height in enumerate(level)]
