"""What all figures share: a canvas, a palette, and PNG files that are equal bytes for equal results.

Seaborn and matplotlib take seconds to import and are imported where they draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgmbench.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
# Okabe and Ito's palette: distinct for colour-blind readers and in print. Its yellow is too faint on white.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, "#E69F00", "#56B4E9", "#000000")
# Markers and colours of numbers by their kind.
KIND_STYLE = {"exact": ("o", BLUE), "lower_bound": (">", ORANGE), "estimate": ("s", GREEN),
              "heuristic": ("*", PURPLE)}  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Picture:
    """A figure on disk and what it shows: `role` is samples, neighbours, curves, convergence and so on."""

    path: Path
    role: str
    dataset: str
    view: str
    title: str
    alt: str
    model: str | None = None
    caption: str = ""


def line_style(place: int) -> dict[str, Any]:
    """Colour, marker and dashes of the `place`-th line; colour and marker alone distinguish 98 of them."""
    lap = place // len(PALETTE)
    return {
        "color": PALETTE[place % len(PALETTE)],
        "marker": MARKERS[(place + lap) % len(MARKERS)],
        "fillstyle": ("full", "none")[lap // len(MARKERS) % 2],
        "linestyle": ("-", "--", ":")[lap % 3],
    }


@contextmanager
def canvas(width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches that belongs to no window system and is freed afterwards."""
    import matplotlib
    import seaborn as sns
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style = {**sns.axes_style("whitegrid"), "axes.edgecolor": ".6", "grid.color": ".9", "font.size": 9,
             "font.family": ["DejaVu Sans"], "axes.spines.top": False,
             "axes.spines.right": False}  # fmt: skip
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), dpi=DPI, layout=None)
        FigureCanvasAgg(figure)
        yield figure


def save(figure: Figure, path: Path, tight: bool = True, gap: float | None = None) -> None:
    """Write PNG without metadata that changes (matplotlib's own version included).

    tight: let matplotlib place the axes, `gap` inches of paper around each (its own default if None).
    """
    if tight:
        figure.set_layout_engine("constrained", w_pad=gap, h_pad=gap)
    with replacing(path) as aside:
        figure.savefig(aside, format="png", metadata={"Software": None})
        if tight:
            _with_palette(aside)


def _with_palette(path: Path) -> None:
    """Write a chart again in 256 colours, which its lines and letters need at most: a third of the bytes."""
    from PIL import Image

    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(256)
    few.save(path, format="PNG", optimize=True)


def plain_decades(axes: Axes) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 in each decade, written out; evenly spaced ones where that
    leaves fewer than three between the limits, which must be set.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = axes.get_ylim()
    decades = LogLocator(subs=(1.0, 2.0, 5.0))
    inside = [tick for tick in decades.tick_values(low, high) if low <= tick <= high]
    axes.yaxis.set_major_locator(decades if len(inside) >= 3 else MaxNLocator(6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def spoken(value: float) -> str:
    """A number for an alternative text: four digits, thousands separated, a true minus sign."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:z.4g}"
    return text.replace("-", "−")
