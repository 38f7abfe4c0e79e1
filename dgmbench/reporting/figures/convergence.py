"""How importance-sampled bounds tighten with the number of draws, against exact and annealed values.

L_1, the ELBO, rises to L_K and on to log p(x) (Burda et al. 2016, theorem 1). A curve that still climbs at
its end says that the last bound is loose; one that ends below the annealed or exact value says by how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dgmbench.metrics import declared
from dgmbench.metrics.likelihood import IS, importance_draws
from dgmbench.reporting.figures.canvas import Picture, canvas, line_style, save, spoken
from dgmbench.reporting.figures.labels import Label, label_ends
from dgmbench.reporting.records import headline_records, is_compared
from dgmbench.statistics import Interval, student_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_CAPTION = (
    "Importance-sampled bounds by number of draws, mean over seeds. Bands and bars: 95 %, over trainings "
    "alone, since all of a line is on the same test images. The ELBO is the bound of one draw. A line that "
    "still climbs at its end is a loose bound; a dashed line is the exact value that it should reach. A "
    "filled diamond is AIS on the same images; an open one is not AIS itself but the last bound plus the "
    "difference of the two on the fewer images that AIS covers."
)


@dataclass(frozen=True)
class Ladder:
    """The bounds of one model by number of draws, all over the same images, and what they lead up to.

    All are means over seeds with intervals over trainings, in nats.

    annealed: AIS on those images; where it covers fewer (`annealed_images`), the last bound plus the
    `difference` of the two on these. gap: of bidirectional Monte Carlo, nats.
    """

    model: str
    images: int
    bounds: dict[int, Interval]
    exact: Interval | None = None
    annealed: Interval | None = None
    difference: float | None = None
    annealed_images: int = 0
    gap: Interval | None = None


def draw(frame: pd.DataFrame, dataset: str, view: str, models: Sequence[str], folder: Path) -> list[Picture]:
    """One line per model that has importance-sampled bounds, with a band over trainings; none, no picture."""
    part = frame[(frame["dataset"] == dataset) & (frame["view"] == view) & is_compared(frame["model"])]
    part = headline_records(part[part["unit"] == "nats"])
    ladders = [found for model in models if (found := ladder(part[part["model"] == model], model))]
    if not ladders:
        return []
    path = folder / f"{dataset}-{view}-convergence.png"
    _draw(ladders, path)
    heading = "Importance-sampled bounds over the number of draws, nats per test image, 95 % over trainings. "
    alt = heading + " ".join(_spoken(found) for found in ladders)
    title = "Convergence of the bounds"
    return [Picture(path, "convergence", dataset, view, title, alt, caption=_CAPTION)]


def ladder(records: pd.DataFrame, model: str) -> Ladder | None:
    """The bounds of one model from its records in nats; None unless there are bounds of two draws or more."""
    by_metric = {str(metric): own.set_index("seed") for metric, own in records.groupby("metric")}
    draws = sorted(k for metric in by_metric if (k := importance_draws(declared(metric))))
    if not draws or draws[-1] < 2:
        return None
    last = by_metric[IS.of(draws=draws[-1]).name]
    images = int(last["n"].max())
    steps = {1: "elbo"} | {k: IS.of(draws=k).name for k in draws}
    alike = {metric: own for metric, own in by_metric.items() if int(own["n"].min()) == images}
    bounds = {k: _point(alike[metric]["value"]) for k, metric in steps.items() if metric in alike}
    exact = _point(alike["log_likelihood"]["value"]) if "log_likelihood" in alike else None
    gap = _point(by_metric["bdmc_gap"]["value"]) if "bdmc_gap" in by_metric else None
    found = Ladder(model, images, bounds, exact, gap=gap)
    return _with_annealing(found, alike, by_metric, last)


def _with_annealing(
    found: Ladder, alike: dict[str, pd.DataFrame], by_metric: dict[str, pd.DataFrame], last: pd.DataFrame
) -> Ladder:
    direct = alike.get("log_likelihood_ais")
    if direct is not None:
        return replace(found, annealed=_point(direct["value"]), annealed_images=found.images)
    if "ais_gain" not in by_metric:
        return found
    gain = by_metric["ais_gain"]
    sums = (last["value"] + gain["value"]).dropna()
    count, difference = int(gain["n"].min()), float(gain["value"].mean())
    return replace(found, annealed=_point(sums), difference=difference, annealed_images=count)


def _point(values: pd.Series) -> Interval:
    return student_interval([float(value) for value in values])


def _bar(point: Interval) -> float:
    """Half the interval to draw; none for one seed."""
    return point.half if point.is_known else 0.0


def _draw(ladders: Sequence[Ladder], path: Path) -> None:
    draws = sorted({k for found in ladders for k in found.bounds})
    annealed = [found for found in ladders if found.annealed]
    beyond = 3.0 * draws[-1]
    ticks = {k: "1 (ELBO)" if k == 1 else f"{k:,}" for k in draws} | ({beyond: "AIS"} if annealed else {})
    with canvas(8.6, max(3.4, 0.18 * len(ladders)) + 0.6 + 0.18 * len(annealed)) as figure:
        axes = figure.subplots()
        ends = [_draw_ladder(axes, found, beyond, line_style(i)) for i, found in enumerate(ladders)]
        axes.set_xscale("log")
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.set_xticks([], minor=True)
        axes.set(xlabel="draws K", ylabel="nats per test image (higher is better)")
        handles, names = axes.get_legend_handles_labels()
        if names:
            figure.legend(handles, names, loc="outside lower left", frameon=False, fontsize=8)
        label_ends(axes, ends)
        save(figure, path)


def _draw_ladder(axes: Axes, found: Ladder, beyond: float, style: dict[str, Any]) -> Label:
    """A line with its band, and what it leads up to; returns its name at its end."""
    draws, points = list(found.bounds), list(found.bounds.values())
    axes.plot(draws, [point.mean for point in points], markersize=5, label=_legend(found), **style)
    low = [point.mean - _bar(point) for point in points]
    high = [point.mean + _bar(point) for point in points]
    axes.fill_between(draws, low, high, color=style["color"], alpha=0.15, linewidth=0)
    if found.exact:
        axes.axhline(found.exact.mean, color=style["color"], linestyle=(0, (6, 3)), linewidth=1.2)
    if found.annealed:
        error = _bar(found.annealed)
        axes.errorbar([beyond], [found.annealed.mean], yerr=[error], fmt="D", color=style["color"], capsize=4,
                      markerfacecolor=style["color"] if found.difference is None else "white")  # fmt: skip
        return Label(found.model, beyond, found.annealed.mean, style["color"])
    return Label(found.model, draws[-1], points[-1].mean, style["color"])


def _legend(found: Ladder) -> str | None:
    """How a model's annealed value came about, in one line; none for a model without."""
    if not found.annealed:
        return None
    return f"{found.model}: {'◆' if found.difference is None else '◇'} {_annealed_words(found)}"


def _annealed_words(found: Ladder) -> str:
    """How the annealed value was obtained, and the gap that says how far to trust it."""
    gap = f"BDMC gap {found.gap.mean:.2g}".replace("-", "−") if found.gap else "BDMC gap unknown"
    if found.difference is None:
        return f"AIS ({gap})"
    last = IS.of(draws=max(found.bounds)).label
    sign = "+" if found.difference >= 0 else "−"
    gain = f"{sign} {abs(found.difference):.2g}"
    return f"AIS, as {last} {gain} (AIS − IS on {found.annealed_images:,} images; {gap})"


def _spoken(found: Ladder) -> str:
    steps = ", ".join(f"{spoken(point.mean)} at K={k}" for k, point in found.bounds.items())
    said = f"{found.model}, {found.images:,} images: {steps}"
    if found.annealed:
        said += f"; {spoken(found.annealed.mean)} by {_annealed_words(found)}"
    if found.exact:
        said += f"; exact {spoken(found.exact.mean)}"
    return said + "."
