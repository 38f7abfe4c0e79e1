"""How sharp samples are: their power by spatial frequency, from `spectrum-<seed>.npz` of the evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dgmbench.reporting.figures.canvas import Picture, canvas, line_style, plain_decades, save, spoken
from dgmbench.reporting.figures.labels import Label, label_ends
from dgmbench.reporting.run_files import Run, first_files, named_arrays

Arrays = Mapping[str, np.ndarray]

ROLE = "spectra"
_CAPTION = (
    "The energy of samples at each spatial frequency over that of test images; first seeds. At 1 a model is"
    " as sharp as data. A line that falls below it at the right is blur, one above it noise. Dashed without"
    " a mark: a model's mean images without its observation noise, which can hide their blur."
)


def spectra(runs: Sequence[Run], results_root: Path, folder: Path) -> list[Picture]:
    """The power of samples over that of test images by spatial frequency, all models in one picture.

    Where a density has mean images without its observation noise, their power is a dashed line.
    """
    found: dict[str, Arrays] = {}
    for model, path in first_files(runs, results_root, "spectrum", "npz").items():
        # Further ways of sampling have folders of their own.
        for each in (path, *sorted(path.parent.glob(f"*/{path.name}"))):
            name = model if each == path else f"{model}/{each.parent.name}"
            found[name] = named_arrays(each, "frequency", "generated", "real")
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
    title = "How sharp: power by spatial frequency"
    return [Picture(path, ROLE, dataset, view, title, alt, caption=_CAPTION)]


def _draw_spectra(found: Mapping[str, Arrays], path: Path) -> None:
    with canvas(8.6, max(4.0, 0.18 * len(found) + 1.0)) as figure:
        axes = figure.subplots()
        axes.axhline(1.0, color="black", linewidth=2.2)
        axes.axvline(0.25, color=".6", linewidth=1.1, linestyle=":")
        ends = []
        for place, (model, arrays) in enumerate(found.items()):
            style = line_style(place) | {"linewidth": 1.3, "markersize": 4}
            quotient = arrays["generated"] / arrays["real"]
            axes.plot(arrays["frequency"], quotient, **style)
            ends.append(Label(model, arrays["frequency"][-1], quotient[-1], style["color"]))
            if "means" in arrays:
                thin = {"color": style["color"], "linewidth": 1.0, "linestyle": "--"}
                axes.plot(arrays["frequency"], arrays["means"] / arrays["real"], **thin)
        axes.set(xlabel="spatial frequency, cycles per pixel (dotted: half of Nyquist)", xlim=(0, 0.505),
                 ylabel="power over that of test images", yscale="log")  # fmt: skip
        plain_decades(axes)
        label_ends(axes, [*ends, Label("as test images", 0.505, 1.0)])
        save(figure, path)


def _spoken_ratio(arrays: Arrays) -> str:
    places = (0, int(np.abs(arrays["frequency"] - 0.25).argmin()), -1)
    kinds = {"generated": "", "means": ", of its mean images "}
    said = ""
    for name, words in kinds.items():
        if name in arrays:
            quotient = arrays[name] / arrays["real"]
            said += words + ", ".join(spoken(float(quotient[place])) for place in places)
    return said
