"""Learning curves: figures, and the tables that `dvc plots` draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dgmbench.files import replacing
from dgmbench.reporting.figures.canvas import BLUE, ORANGE, Picture, canvas, save
from dgmbench.reporting.run_files import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ERROR = "error"
_CAPTION = (
    "One thin line per seed; a model fitted in one step has no curve. What a loss means is the model's own "
    "affair (nats for one with a likelihood, a squared error for an auto-encoder of gray images): read each"
    " panel by itself. Validation that rises while training falls is overfitting; seeds that part are an "
    "unstable training. A steep start may be cut off."
)
_SPLIT_COLOURS = {"train": BLUE, "valid": ORANGE}


def curve_names(history: pd.DataFrame) -> list[str]:
    """Which curves of a run are worth a panel: a classifier's error, unless it was fitted in one step; else
    the loss, and any other network's loss (a discriminator's).
    """
    names = list(dict.fromkeys(history["name"]))
    if _moves(history[history["name"] == ERROR]):
        return [ERROR]
    losses = [name for name in names if name == "loss" or name.endswith("_loss")]
    return losses or [name for name in names if name == "elbo"] or names[:1]


def learning_curves(runs: Sequence[Run], folder: Path) -> list[Picture]:
    """Small multiples, one panel per model and loss; a thin line per seed, train and valid by colour.

    Models fitted in one step (closed form) have no panel, nor have points of a curve over labels.
    """
    panels: dict[tuple[str, str], list[tuple[int, pd.DataFrame]]] = {}
    for run in runs:
        if run.info.get("settings", {}).get("measures") == "classification":
            continue
        history = run.history()
        for name in curve_names(history):
            part = history[history["name"] == name]
            panels.setdefault((run.model, name), []).append((run.seed, part))
    panels = {key: curves for key, curves in panels.items() if any(_moves(part) for _, part in curves)}
    if not panels:
        return []
    dataset, view = runs[0].dataset, runs[0].view
    path = folder / f"{dataset}-{view}-curves.png"
    _draw_curves(panels, path, "sentence" if view == "tokens" else "image")
    models = ", ".join(dict.fromkeys(model for model, _ in panels))
    alt = f"Training and validation loss, or a classifier's error, over steps of {models}, a line per seed"
    if any(name == "discriminator_loss" for _, name in panels):
        alt += (
            ". A discriminator's loss in training has dropout and the gradient penalty in it, in validation "
            "neither, and there it is against the averaged generator"
        )
    return [Picture(path, "curves", dataset, view, "Learning curves", alt, caption=_CAPTION)]


def _moves(part: pd.DataFrame) -> bool:
    """Whether a curve has more than one step."""
    return bool(part["step"].nunique() > 1)


def _draw_curves(
    panels: Mapping[tuple[str, str], list[tuple[int, pd.DataFrame]]], path: Path, what: str
) -> None:
    from matplotlib.lines import Line2D

    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    # Of very many panels, smaller ones: the picture stays below a megabyte.
    scale = 1.0 if len(panels) <= 30 else 0.75
    with canvas(scale * 3.4 * columns + 0.3, scale * 2.6 * rows + 0.5) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, ((model, name), curves) in zip(grid.flat, panels.items(), strict=False):
            _draw_panel(axes, curves)
            title = model if name == "loss" else f"{model}: {name.replace('_', ' ')}"
            axes.set_title(title, fontsize=10 * scale, loc="left")
            # Not every loss is in nats: a GAN's is none, and an auto-encoder's of gray images is a square.
            axes.set(xlabel="step", ylabel=_unit(name, what))
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_axis_off()
        handles = [Line2D([], [], color=colour, label=split) for split, colour in _SPLIT_COLOURS.items()]
        figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False, fontsize=9)
        save(figure, path)


def _unit(name: str, what: str) -> str:
    if name == ERROR:
        return "% wrong"
    return "loss" if name.endswith("_loss") else f"loss per {what}"


def _draw_panel(axes: Axes, curves: Sequence[tuple[int, pd.DataFrame]]) -> None:
    import seaborn as sns

    data = pd.concat([part.assign(seed=seed) for seed, part in curves], ignore_index=True)
    data = data[np.isfinite(data["value"])]
    sns.lineplot(
        data,
        x="step",
        y="value",
        hue="split",
        hue_order=list(_SPLIT_COLOURS),
        palette=_SPLIT_COLOURS,
        units="seed",
        estimator=None,
        linewidth=0.9,
        alpha=0.85,
        legend=False,
        ax=axes,
    )
    _clip_start(axes, data)


def _clip_start(axes: Axes, data: pd.DataFrame) -> None:
    """Leave the first steep drop out of the y range when it would flatten all that follows."""
    later = data.loc[data["step"] > 0.05 * data["step"].max(), "value"]
    if len(later) < 4:
        return
    low, high = float(data["value"].min()), float(later.quantile(0.99))
    if data["value"].max() - low > 2 * (high - low) > 0:
        axes.set_ylim(low - 0.06 * (high - low), high + 0.12 * (high - low))


def write_curves(runs: Sequence[Run], folder: Path) -> list[Path]:
    """`<dataset>-<model>.csv` of each model's full history, which `dvc plots` draws too."""
    written = []
    for dataset, model in dict.fromkeys((run.dataset, run.model) for run in runs):
        own = [run for run in runs if (run.dataset, run.model) == (dataset, model)]
        frames = [frame.assign(seed=run.seed) for run in own if len(frame := run.history())]
        if frames:
            written.append(folder / f"{dataset}-{model}.csv")
            _write_csv(pd.concat(frames, ignore_index=True), written[-1])
    return written


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    with replacing(path) as aside:
        frame.to_csv(aside, index=False, lineterminator="\n")
