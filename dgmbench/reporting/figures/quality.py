"""Figures of sample quality: FID against the number of images, and precision against recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dgmbench.metrics import declared
from dgmbench.metrics.quality import SPACES, Space
from dgmbench.reporting.comparison.published import of_the_same_kind, references
from dgmbench.reporting.figures.canvas import Picture, canvas, line_style, save, spoken
from dgmbench.reporting.figures.labels import Label, label_ends, label_points
from dgmbench.reporting.records import is_compared
from dgmbench.reporting.run_files import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_BIAS_CAPTION = (
    "A finite number of images makes FID too large, by a different amount for each model: lines fall with "
    "n, and where they cross, the order of models depends on it. The star is the value without that, the "
    "black line what training images would score. Lines and stars are means over seeds, without intervals: "
    "see FID and FID∞ in the tables."
)
# Images behind the published FIDs.
PUBLISHED_AT = 10_000
_PUBLISHED = (
    " Short black lines at the right: published values, best of many configurations, whose protocols are in "
    "the notes to the tables."
)
_SCATTER_CAPTION = (
    "Precision is the share of samples among the test images, recall the share of test images among the "
    "samples; bars reach from the lowest to the highest training. Best is the upper right corner. The axes "
    "begin and end where the points do, not at 0 and 1; where a few lie far off, a second panel shows the "
    "others. Low precision: samples unlike the data. Low recall: data that samples never reach."
)


@dataclass(frozen=True)
class Curve:
    """FID over n of one model, means over seeds; `floor` is that of training images (empty if unknown)."""

    model: str
    sizes: np.ndarray
    values: np.ndarray
    infinity: float
    floor_sizes: np.ndarray
    floor: np.ndarray


def draw(
    frame: pd.DataFrame, runs: Sequence[Run], dataset: str, view: str, results_root: Path, folder: Path
) -> list[Picture]:
    """All figures of one data set and view for which there are numbers."""
    drawn = []
    for space in SPACES:
        curves = load_curves(runs, space.name, results_root)
        if curves:
            drawn.append(_bias(curves, space.name, dataset, view, folder))
    part = frame[(frame["dataset"] == dataset) & (frame["view"] == view) & is_compared(frame["model"])]
    for space in SPACES:
        recall, precision = (f"{name}{space.suffix}" for name in ("recall", "precision"))
        points = _means(part, recall).join(_means(part, precision), how="inner")
        if len(points):
            drawn.append(_scatter(points, space, dataset, view, folder))
    return drawn


def load_curves(runs: Sequence[Run], space: str, results_root: Path) -> list[Curve]:
    """The curves that the evaluation left, one per model; seeds of unequal sizes are not averaged."""
    by_model: dict[str, list[dict[str, np.ndarray]]] = {}
    for run in runs:
        path = Path(results_root) / run.dataset / run.model / f"fid-{space}-{run.seed}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as content:
                by_model.setdefault(run.model, []).append({name: content[name] for name in content.files})
    return [_mean_curve(model, found) for model, found in by_model.items()]


def _mean_curve(model: str, found: list[dict[str, np.ndarray]]) -> Curve:
    first = found[0]
    alike = [each for each in found if np.array_equal(each["n"], first["n"])]
    none = np.array([])
    return Curve(
        model,
        first["n"],
        np.mean([each["fid"] for each in alike], axis=0),
        float(np.mean([each["infinity"] for each in alike])),
        first.get("floor_n", none),
        first.get("floor", none),
    )


def _bias(curves: Sequence[Curve], space: str, dataset: str, view: str, folder: Path) -> Picture:
    path = folder / f"{dataset}-{view}-fid-{space}.png"
    name = declared(f"fid_{space}").label
    with canvas(8.6, max(4.0, 0.18 * len(curves) + 1.0)) as figure:
        axes = figure.subplots()
        ends = [_draw_curve(axes, curve, line_style(place)) for place, curve in enumerate(curves)]
        floor = next((curve for curve in curves if len(curve.floor)), None)
        if floor is not None:
            axes.plot(1 / floor.floor_sizes, floor.floor, color="black", linewidth=2.5)
        sizes = sorted({int(n) for curve in curves for n in curve.sizes[[0, len(curve.sizes) // 2, -1]]})
        axes.set_xticks([0.0, *(1 / n for n in sizes)], ["∞", *(f"{n:,}" for n in sizes)])
        published = [each for curve in curves for each in _published(dataset, view, curve.model, space)]
        for value in published:
            axes.plot([1 / PUBLISHED_AT, 0.0], [value, value], color="black", linewidth=2.2)
        # More images to the right, where lines part.
        axes.set_xlim(1.02 / sizes[0], -0.02 / sizes[0])
        _scale(axes)
        axes.set(
            xlabel="n of generated and of test images, even in 1/n; star: extrapolated to infinite n",
            ylabel=f"{name}, lower is better",
        )
        label_ends(axes, ends)
        if floor is not None:
            label = Label("training images", 1 / floor.floor_sizes[-1], floor.floor[-1])
            near = [(label.x * across, c.values[-1]) for c in curves for across in (1.0, 0.95, 0.9, 0.85)]
            label_points(axes, [label], near)
        save(figure, path)
    said = "; ".join(
        f"{c.model} {spoken(c.values[0])} at n={c.sizes[0]:,}, {spoken(c.values[-1])} at n={c.sizes[-1]:,}, "
        f"{spoken(c.infinity)} at infinity"
        for c in curves
    )
    title = f"{name} against the number of images"
    caption = _BIAS_CAPTION + _PUBLISHED * bool(published)
    return Picture(path, "quality", dataset, view, title, f"{name}: {said}", caption=caption)


def _published(dataset: str, view: str, model: str, space: str) -> list[float]:
    """FIDs of the literature for a model, of samples as ours are."""
    found = references(dataset, view, model)
    return [each.value for each in found if each.metric == f"fid_{space}" and of_the_same_kind(each)]


def _draw_curve(axes: Axes, curve: Curve, style: dict[str, Any]) -> Label:
    """A line over 1/n, dotted to its value at infinity, where its name stands."""
    colour = style["color"]
    axes.plot(1 / curve.sizes, curve.values, markersize=5, **style)
    ends = [0.0, 1 / curve.sizes[-1]]
    axes.plot(ends, [curve.infinity, curve.values[-1]], color=colour, linewidth=0.9, linestyle=":")
    axes.plot([0.0], [curve.infinity], color=colour, marker="*", markersize=9, clip_on=False)
    return Label(curve.model, 0.0, curve.infinity, colour)


def _scale(axes: Axes) -> None:
    """Logarithmic; where the extrapolated values reach 0 or less, linear below 1."""
    values = [float(value) for line in axes.get_lines() for value in np.asarray(line.get_ydata())]
    if min(values) > 0:
        axes.set_yscale("log")
        axes.set_ylim(0.75 * min(values), 1.3 * max(values))
    else:
        axes.set_yscale("symlog", linthresh=1.0)
        axes.set_ylim(1.3 * min(values) - 0.1, 1.3 * max(values))
    _tick_by_hand(axes)


def _tick_by_hand(axes: Axes) -> None:
    """Ticks at 1, 2 and 5 of every decade: a symmetric logarithm's own may be none at all."""
    low, high = axes.get_ylim()
    steps = [digit * 10.0**power for power in range(-2, 7) for digit in (1, 2, 5)]
    if axes.get_yscale() == "symlog":
        # Nearer to 0 they would cover each other.
        steps = [step for step in steps if step > 0.1]
    ticks = [tick for tick in [0.0, *steps, *(-step for step in steps)] if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:,g}".replace("-", "−") for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylim(low, high)


def _means(part: pd.DataFrame, metric: str) -> pd.DataFrame:
    own = part[part["metric"] == metric]
    return own.groupby("model", sort=False)["value"].agg(["mean", "min", "max"]).add_prefix(f"{metric} ")


def crowd(values: np.ndarray) -> np.ndarray:
    """Which values lie no further from the middle half than twice its width: bool, of the same shape.

    All of them where leaving the others out would save less than half of the range.
    """
    low, high = np.quantile(values, [0.25, 0.75])
    inside = (values >= low - 2 * (high - low)) & (values <= high + 2 * (high - low))
    narrow = np.ptp(values[inside]) < 0.5 * np.ptp(values)
    return inside if narrow else np.ones_like(inside)


def _around(values: np.ndarray) -> tuple[float, float]:
    """Limits with room for names."""
    beyond = 0.16 * max(float(np.ptp(values)), 0.02)
    return float(values.min()) - beyond, float(values.max()) + beyond


def _draw_point(axes: Axes, point: pd.Series, place: int, recall: str, precision: str) -> Label:
    """A model's mean and its lowest and highest training; returns its name."""
    style = line_style(place) | {"linestyle": "none"}
    middles = {name: float(point[f"{name} mean"]) for name in (recall, precision)}
    spans = [
        [[abs(middle - point[f"{name} min"])], [abs(point[f"{name} max"] - middle)]]
        for name, middle in middles.items()
    ]
    x, y = middles.values()
    axes.errorbar([x], [y], xerr=spans[0], yerr=spans[1], elinewidth=0.9, **style)
    return Label(str(point.name), x, y, str(style["color"]))


def _scatter(points: pd.DataFrame, space: Space, dataset: str, view: str, folder: Path) -> Picture:
    path = folder / f"{dataset}-{view}-precision-recall-{space.name}.png"
    recall, precision = f"recall{space.suffix}", f"precision{space.suffix}"
    xs, ys = (points[f"{name} mean"].to_numpy() for name in (recall, precision))
    near = crowd(xs) & crowd(ys)
    halves = [np.ones(len(points), dtype=bool)] if near.all() else [~near, near]
    with canvas(4.9 * len(halves) + 1.0, max(4.6, 0.2 * len(points) + 1.6)) as figure:
        grid = figure.subplots(1, len(halves), squeeze=False)[0]
        for axes, named in zip(grid, halves, strict=True):
            labels = [_draw_point(axes, points.iloc[i], i, recall, precision) for i in range(len(points))]
            axes.set(xlabel=f"{declared(recall).label}: data covered by samples",
                     ylabel=f"{declared(precision).label}: samples like data")  # fmt: skip
            axes.margins(0.14)
            if named is near:
                axes.set_xlim(*_around(xs[near]))
                axes.set_ylim(*_around(ys[near]))
                axes.set_title("where most of them lie", fontsize=10, loc="left")
            label_points(axes, [label for label, own in zip(labels, named, strict=True) if own])
        save(figure, path)
    said = "; ".join(
        f"{model} {point[f'{precision} mean']:.2f} and {point[f'{recall} mean']:.2f}"
        for model, point in points.iterrows()
    )
    title = f"{declared(precision).label} and {declared(recall).label}"
    alt = f"{title}, means over seeds: {said}"
    return Picture(path, "quality", dataset, view, title, alt, caption=_SCATTER_CAPTION)
