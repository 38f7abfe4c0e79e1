"""Figures of latent spaces: sheets of decoded images, KL by dimension, and how sharp samples are.

Reads what the evaluation left in ``results/<dataset>/<model>/``: `latent-<seed>.npz` with the words for it in
`latent-<seed>.json` (`completion-<seed>` likewise), `units-<seed>.npz` and `spectrum-<seed>.npz`; draws
whatever of it there is.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgmbench.errors import CheckpointError
from dgmbench.files import read_json
from dgmbench.reporting.figures import pictures
from dgmbench.reporting.figures.canvas import BLUE, DPI, ORANGE, Picture, canvas, line_style, save, spoken
from dgmbench.reporting.run_files import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Arrays = Mapping[str, np.ndarray]

ROLE, SPECTRA_ROLE, COMPLETION_ROLE = "latents", "spectra", "completions"
# Width of a sheet's images in pixels, and of the paper around them: labels on the left, the rest elsewhere.
SHEET_WIDTH, LABEL_WIDTH, MARGIN = 700, 78, 14
# Pixels that a character of a caption takes on average, and a line of it.
CHARACTER, LINE = 7, 15
# Dimensions whose KL an alternative text tells.
_SPOKEN = 5


def draw(runs: Sequence[Run], results_root: Path, folder: Path) -> list[Picture]:
    """All figures of the runs of one data set and view: sheets, then KL by dimension, then spectra."""
    if not runs:
        return []
    return [
        *sheets(runs, results_root, folder, "completion", COMPLETION_ROLE),
        *sheets(runs, results_root, folder),
        *units(runs, results_root, folder),
        *spectra(runs, results_root, folder),
    ]


# Files


def _found(runs: Sequence[Run], results_root: Path, stem: str, suffix: str) -> dict[str, Path]:
    """By model, the file `<stem>-<seed>.<suffix>` of its first seed that has one."""
    found: dict[str, Path] = {}
    for run in runs:
        path = Path(results_root) / run.dataset / run.model / f"{stem}-{run.seed}.{suffix}"
        if not run.failed and path.exists():
            found.setdefault(run.model, path)
    return found


def _arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """The arrays of a file; `CheckpointError` if it cannot be read or lacks one of `names`."""
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); run the evaluate stage again") from error
    missing = [name for name in names if name not in arrays]
    if missing:
        raise CheckpointError(f"{path} lacks {', '.join(missing)}; run the evaluate stage again")
    return arrays


# Sheets


def sheets(
    runs: Sequence[Run], results_root: Path, folder: Path, stem: str = "latent", role: str = ROLE
) -> list[Picture]:
    """One picture per model and sheet, in the order in which the evaluation lists them."""
    drawn = []
    dataset, view = runs[0].dataset, runs[0].view
    for model, path in _found(runs, results_root, stem, "json").items():
        words = read_json(path)
        arrays = _arrays(path.with_suffix(".npz"), *(sheet["role"] for sheet in words))
        for sheet in words:
            target = folder / f"{dataset}-{view}-{stem}-{sheet['role']}-{model}.png"
            draw_sheet(sheet, arrays[sheet["role"]], model, target)
            alt = f"{model}, {dataset}, {view} view: {sheet['title']}. {sheet['caption']}"
            alt += _spoken_labels(sheet)
            drawn.append(Picture(target, role, dataset, view, f"{model}: {sheet['title']}", alt, model))
    return drawn


def _spoken_labels(sheet: Mapping[str, Any]) -> str:
    said = {name: list(dict.fromkeys(sheet.get(f"{name}_labels", ()))) for name in ("row", "column")}
    return "".join(f" {name.capitalize()}s: {', '.join(labels)}." for name, labels in said.items() if labels)


def draw_sheet(sheet: Mapping[str, Any], images: np.ndarray, model: str, path: Path) -> None:
    """Images `[rows * columns, C, H, W]` pixel by pixel, title above, labels around, caption below."""
    # White paper: gray would not part one face from the next.
    tiled = pictures.tile(pictures.to_bytes(images, sheet["levels"]), sheet["columns"], paper=255)
    shown = pictures.enlarge(tiled, SHEET_WIDTH)
    tall, wide = shown.shape[:2]
    left = LABEL_WIDTH if sheet.get("row_labels") else MARGIN
    above = 34 + 18 * bool(sheet.get("column_labels"))
    width = left + max(wide, SHEET_WIDTH) + MARGIN
    caption = textwrap.fill(sheet["caption"], (width - left - MARGIN) // CHARACTER)
    height = above + tall + 20 + LINE * (caption.count("\n") + 1)
    with canvas(width / DPI, height / DPI) as figure:
        figure.figimage(shown, xo=left, yo=height - above - tall)
        at = _Places(width, height)
        figure.text(*at(left, 20), f"{model}: {sheet['title']}", fontsize=11, weight="bold")
        for place, label in enumerate(sheet.get("row_labels", ())):
            middle = above + tall * (place + 0.5) / sheet["rows"]
            figure.text(*at(left - 6, middle), label, fontsize=8.5, ha="right", va="center")
        for place, label in enumerate(sheet.get("column_labels", ())):
            middle = left + wide * (place + 0.5) / sheet["columns"]
            figure.text(*at(middle, above - 6), label, fontsize=8.5, ha="center")
        figure.text(*at(left, above + tall + 8), caption, fontsize=8, color=".3", va="top")
        save(figure, path, tight=False)
    _shrink(path)


def _shrink(path: Path) -> None:
    """Write a PNG again without transparency, and without colour where it has none: a third of the bytes."""
    from PIL import Image

    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    pictures.write_png(pixels, path)


class _Places:
    """Pixels from the upper left corner as a figure's fractions.

    Args:
        width: of the figure, in pixels.
        height: of the figure, in pixels.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height

    def __call__(self, right: float, down: float) -> tuple[float, float]:
        return right / self.width, 1 - down / self.height


# KL by dimension


def units(runs: Sequence[Run], results_root: Path, folder: Path) -> list[Picture]:
    """Small multiples, one panel per model that can tell its KL by dimension; none where no model can."""
    every = {
        model: _arrays(path, "variances", "threshold")
        for model, path in _found(runs, results_root, "units", "npz").items()
    }
    telling = {model: arrays for model, arrays in every.items() if "kl" in arrays}
    if not telling:
        return []
    dataset, view = runs[0].dataset, runs[0].view
    path = folder / f"{dataset}-{view}-latent-kl.png"
    _draw_units(telling, path)
    said = "; ".join(_spoken_units(model, arrays) for model, arrays in telling.items())
    alt = f"KL of each latent dimension from its prior in nats per image, from the largest down. {said}"
    return [Picture(path, ROLE, dataset, view, "KL by latent dimension", alt)]


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


# Spectra


def spectra(runs: Sequence[Run], results_root: Path, folder: Path) -> list[Picture]:
    """The power of samples over spatial frequency beside that of test images, all models in one picture.

    Where a density has mean images without its observation noise, their power is a dashed line.
    """
    found: dict[str, Arrays] = {}
    for model, path in _found(runs, results_root, "spectrum", "npz").items():
        # Further ways of sampling have folders of their own.
        for each in (path, *sorted(path.parent.glob(f"*/{path.name}"))):
            name = model if each == path else f"{model}/{each.parent.name}"
            found[name] = _arrays(each, "frequency", "generated", "real")
    if not found:
        return []
    dataset, view = runs[0].dataset, runs[0].view
    path = folder / f"{dataset}-{view}-spectra.png"
    _draw_spectra(found, path)
    said = "; ".join(f"{model} {_spoken_ratio(arrays)}" for model, arrays in found.items())
    alt = (
        "Power of generated and of test images by spatial frequency, and the quotient of the two: 1 is as in "
        f"test images, less is blur. Quotient at the lowest, a middle and the highest frequency: {said}"
    )
    return [Picture(path, SPECTRA_ROLE, dataset, view, "How sharp: power by spatial frequency", alt)]


def _draw_spectra(found: Mapping[str, Arrays], path: Path) -> None:
    # An entry of the legend takes some 60 pixels and 7 for each character.
    columns = max(1, min(6, 950 // (60 + 7 * max(map(len, [*found, "test images"])))))
    with canvas(9.4, 3.3 + 0.2 * math.ceil((1 + len(found)) / columns)) as figure:
        power, quotient = figure.subplots(1, 2)
        real = next(iter(found.values()))
        power.plot(real["frequency"], real["real"], color="black", linewidth=2.2, label="test images")
        quotient.axhline(1.0, color="black", linewidth=2.2)
        for place, (model, arrays) in enumerate(found.items()):
            style = line_style(place) | {"linewidth": 1.3, "markersize": 4}
            power.plot(arrays["frequency"], arrays["generated"], label=model, **style)
            quotient.plot(arrays["frequency"], arrays["generated"] / arrays["real"], **style)
            if "means" in arrays:
                thin = {"color": style["color"], "linewidth": 1.0, "linestyle": "--"}
                quotient.plot(arrays["frequency"], arrays["means"] / arrays["real"], **thin)
        means = " (dashed: mean images)" if any("means" in arrays for arrays in found.values()) else ""
        for axes, title in ((power, "power"), (quotient, f"power over that of test images{means}")):
            axes.axvline(0.25, color=".6", linewidth=1.1, linestyle=":")
            axes.set_title(title, fontsize=10, loc="left")
            axes.set(xlabel="cycles per pixel (dotted: half of Nyquist)", yscale="log", xlim=(0, 0.515))
            _plain_decades(axes)
        figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=8.5)
        save(figure, path)


def _plain_decades(axes: Axes) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 in each decade, written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _spoken_ratio(arrays: Arrays) -> str:
    places = (0, int(np.abs(arrays["frequency"] - 0.25).argmin()), -1)
    kinds = {"generated": "", "means": ", of its mean images "}
    said = ""
    for name, words in kinds.items():
        if name in arrays:
            quotient = arrays[name] / arrays["real"]
            said += words + ", ".join(spoken(float(quotient[place])) for place in places)
    return said
