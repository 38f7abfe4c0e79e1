"""How sharp samples are: their power by spatial frequency, from `spectrum-<seed>.npz` of the evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dgmbench.reporting.figures.canvas import Picture, canvas, line_style, plain_decades, save, spoken
from dgmbench.reporting.run_files import Run, first_files, named_arrays

Arrays = Mapping[str, np.ndarray]

ROLE = "spectra"


def spectra(runs: Sequence[Run], results_root: Path, folder: Path) -> list[Picture]:
    """The power of samples over spatial frequency beside that of test images, all models in one picture.

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
    return [Picture(path, ROLE, dataset, view, "How sharp: power by spatial frequency", alt)]


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
            plain_decades(axes)
        figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=8.5)
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
