"""Figures of sample quality: FID against the number of images, and precision against recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dgmbench.metrics import declared
from dgmbench.metrics.quality import SPACES, Space
from dgmbench.reporting.figures.canvas import Picture, canvas, line_style, save, spoken
from dgmbench.reporting.records import is_compared
from dgmbench.reporting.run_files import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    with canvas(7.4, 3.6 + 0.18 * len(curves)) as figure:
        axes = figure.subplots()
        for place, curve in enumerate(curves):
            style = line_style(place)
            axes.plot(1 / curve.sizes, curve.values, markersize=5, label=curve.model, **style)
            ends = [0.0, 1 / curve.sizes[-1]]
            axes.plot(
                ends, [curve.infinity, curve.values[-1]], color=style["color"], linewidth=0.9, linestyle=":"
            )
            axes.plot([0.0], [curve.infinity], color=style["color"], marker="*", markersize=9, clip_on=False)
        floor = next((curve for curve in curves if len(curve.floor)), None)
        if floor is not None:
            axes.plot(
                1 / floor.floor_sizes,
                floor.floor,
                color="black",
                linewidth=2,
                label="training images (floor)",
            )
        sizes = sorted({int(n) for curve in curves for n in curve.sizes[[0, len(curve.sizes) // 2, -1]]})
        axes.set_xticks([0.0, *(1 / n for n in sizes)], ["∞", *(f"{n:,}" for n in sizes)])
        axes.set_yscale("symlog", linthresh=1.0)
        _tick_by_hand(axes)
        axes.set(
            xlabel="n of generated and of test images, even in 1/n; star: extrapolated to infinity",
            ylabel=name,
        )
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=3, frameon=False, fontsize=8)
        save(figure, path)
    said = "; ".join(
        f"{c.model} {spoken(c.values[0])} at n={c.sizes[0]:,}, {spoken(c.values[-1])} at n={c.sizes[-1]:,}, "
        f"{spoken(c.infinity)} at infinity"
        for c in curves
    )
    return Picture(path, "quality", dataset, view, f"{name} against the number of images", f"{name}: {said}")


def _tick_by_hand(axes: Axes) -> None:
    """Ticks at 1, 2 and 5 of every decade: a symmetric logarithm's own may be none at all."""
    low, high = axes.get_ylim()
    steps = [0.2, 0.5, *(digit * 10**power for power in range(7) for digit in (1, 2, 5))]
    ticks = [tick for tick in [0.0, *steps, *(-step for step in steps)] if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:,g}".replace("-", "−") for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylim(low, high)


def _means(part: pd.DataFrame, metric: str) -> pd.DataFrame:
    own = part[part["metric"] == metric]
    return own.groupby("model", sort=False)["value"].agg(["mean", "min", "max"]).add_prefix(f"{metric} ")


def _scatter(points: pd.DataFrame, space: Space, dataset: str, view: str, folder: Path) -> Picture:
    path = folder / f"{dataset}-{view}-precision-recall-{space.name}.png"
    recall, precision = f"recall{space.suffix}", f"precision{space.suffix}"
    with canvas(6.0, 4.6 + 0.09 * len(points)) as figure:
        axes = figure.subplots()
        for place, (model, point) in enumerate(points.iterrows()):
            style = line_style(place) | {"linestyle": "none"}
            x, y = point[f"{recall} mean"], point[f"{precision} mean"]
            spans = [
                [[abs(middle - point[f"{name} min"])], [abs(point[f"{name} max"] - middle)]]
                for name, middle in ((recall, x), (precision, y))
            ]
            axes.errorbar([x], [y], xerr=spans[0], yerr=spans[1], label=str(model), elinewidth=0.9, **style)
        axes.set(xlabel=f"{declared(recall).label}: data covered by samples", xlim=(-0.03, 1.03),
                 ylabel=f"{declared(precision).label}: samples like data", ylim=(-0.03, 1.03))  # fmt: skip
        figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=8)
        save(figure, path)
    said = "; ".join(
        f"{model} {point[f'{precision} mean']:.2f} and {point[f'{recall} mean']:.2f}"
        for model, point in points.iterrows()
    )
    title = f"{declared(precision).label} and {declared(recall).label}"
    return Picture(path, "quality", dataset, view, title, f"{title}, means over seeds: {said}")
