"""KL of each latent dimension from its prior, from what the evaluation left in `units-<seed>.npz`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dgmbench.reporting.figures.canvas import BLUE, ORANGE, Picture, canvas, save, spoken
from dgmbench.reporting.figures.latent_sheets import ROLE
from dgmbench.reporting.run_files import Run, first_files, named_arrays

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Arrays = Mapping[str, np.ndarray]

# Dimensions whose KL an alternative text gives.
_SPOKEN = 5
_CAPTION = (
    "What each dimension of z tells of an image: its KL from the prior in nats per test image, from the "
    "largest down. A unit is active if its posterior mean moves with the image by a variance of more than "
    "0.01; dimensions near 0 (a cross: inactive) carry nothing, and the model would do without them."
)


def units(runs: Sequence[Run], results_root: Path, folder: Path) -> list[Picture]:
    """Small multiples, one panel per model whose KL is known by dimension; none if there is no such model."""
    every = {
        model: named_arrays(path, "variances", "threshold")
        for model, path in first_files(runs, results_root, "units", "npz").items()
    }
    telling = {model: arrays for model, arrays in every.items() if "kl" in arrays}
    if not telling:
        return []
    dataset, view = runs[0].dataset, runs[0].view
    path = folder / f"{dataset}-{view}-latent-kl.png"
    _draw_units(telling, path)
    said = "; ".join(_spoken_units(model, arrays) for model, arrays in telling.items())
    alt = f"KL of each latent dimension from its prior in nats per image, from the largest down. {said}"
    return [Picture(path, ROLE, dataset, view, "KL by latent dimension", alt, caption=_CAPTION)]


def _draw_units(telling: Mapping[str, Arrays], path: Path) -> None:
    from matplotlib.patches import Patch

    columns = min(3, len(telling))
    rows = math.ceil(len(telling) / columns)
    with canvas(3.5 * columns + 0.3, 2.5 * rows + 0.4) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, (model, arrays) in zip(grid.flat, telling.items(), strict=False):
            _draw_bars(axes, arrays)
            axes.set_title(f"{model}: {_count(arrays)}", fontsize=9.5, loc="left")
            axes.set(xlabel="latent dimension, sorted", ylabel="KL, nats per image")
        for axes in list(grid.flat)[len(telling) :]:
            axes.set_axis_off()
        names = {"active unit": BLUE, "inactive unit": ORANGE}
        handles = [Patch(color=colour, label=name) for name, colour in names.items()]
        figure.legend(handles=handles, loc="outside upper right", ncols=2, frameon=False, fontsize=9)
        save(figure, path)


def _draw_bars(axes: Axes, arrays: Arrays) -> None:
    from matplotlib.ticker import MaxNLocator

    order = np.argsort(-arrays["kl"], kind="stable")
    kl, active = arrays["kl"][order], _active(arrays)[order]
    places = np.arange(1, len(kl) + 1)
    axes.bar(places, kl, color=np.where(active, BLUE, ORANGE), width=0.8, linewidth=0)
    if not active.all():
        # A bar of no height says nothing of its colour: a mark on the axis does.
        axes.plot(places[~active], np.zeros((~active).sum()), "x", color=ORANGE, markersize=4, clip_on=False)
    axes.set_xlim(0.3, len(kl) + 0.7)
    axes.set_ylim(bottom=0)
    axes.grid(axis="x", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _active(arrays: Arrays) -> np.ndarray:
    """Which units' posterior means vary over images by more than the threshold."""
    return arrays["variances"] > arrays["threshold"]


def _count(arrays: Arrays) -> str:
    return f"{_active(arrays).sum()} of {len(arrays['kl'])} active, {arrays['kl'].sum():.1f} nats"


def _spoken_units(model: str, arrays: Arrays) -> str:
    largest = np.sort(arrays["kl"])[::-1][:_SPOKEN]
    return f"{model}: {_count(arrays)} in all, largest {', '.join(spoken(float(value)) for value in largest)}"
