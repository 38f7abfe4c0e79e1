"""Cells of a comparison: one metric of one model over its seeds, with intervals, kind and rounding.

A cell shows `mean ± b (c)`, halves of 95 % intervals: b over trainings and test images together, c over
trainings alone, see `dgmbench.statistics`. In a metric that test images play no part in, or none that is
known, it shows `mean ± c`. One seed says nothing about other trainings; the interval is then over test images
alone, and the cell says `(1 seed)`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dgmbench.claims.claim import Verdict
from dgmbench.metrics import ARROWS, UNITS, Direction, declared
from dgmbench.metrics.likelihood import with_most_draws
from dgmbench.points import Points
from dgmbench.reporting.words import kind_mark
from dgmbench.statistics import Part, Sources, over_trainings, sources

# Points of the seeds of a model, by metric and unit.
SeedPoints = Mapping[int, Mapping[tuple[str, str], Points]]

# After a likelihood of fewer images than the test split has.
PARTIAL = "†"
# After the name of a metric that fails a control.
FAILING = "‡"
_DEFAULT_DECIMALS = {"nats": 2, "bits_per_dim": 3, "percent": 2, "seconds": 1, "images_per_second": 0}


@dataclass(frozen=True)
class Column:
    """A metric in one unit; `tightest` marks the column that takes each model's best bound.

    trust: the verdict on the claim that the metric notices what it is meant to; None where no control says.
    """

    metric: str
    unit: str
    tightest: bool = False
    trust: Verdict | None = None

    @property
    def failing(self) -> bool:
        """Whether a control shows that the metric misses what it should detect."""
        return self.trust == "contradicted"

    @property
    def key(self) -> str:
        """Name in CSV headings, e.g. `elbo [nats]`."""
        return f"{self.metric} [{self.unit}]"

    @property
    def direction(self) -> Direction:
        """Which way is better."""
        return declared(self.metric).direction(self.unit)

    @property
    def label(self) -> str:
        """Name for readers, without arrow or unit."""
        bits = self.tightest and self.unit == "bits_per_dim"
        return "bits/dim" if bits else declared(self.metric).label

    @property
    def title(self) -> str:
        """Name for readers with an arrow towards better, without unit."""
        return self.marked(self.label)

    def marked(self, name: str) -> str:
        """A name with an arrow towards better, and a mark where a control shows that the metric fails."""
        parts = (name, ARROWS[self.direction], FAILING if self.failing else "")
        return " ".join(part for part in parts if part)

    @property
    def unit_words(self) -> str:
        """The unit in parentheses; empty where it is in the title or there is none."""
        unit = UNITS[self.unit]
        return f"({unit})" if unit and not self.title.startswith(unit) else ""

    @property
    def heading(self) -> str:
        """Title and unit in one line."""
        return f"{self.title} {self.unit_words}".rstrip()


@dataclass
class Cell:
    """One model's value in one column: mean over `n` seeds.

    half_width: of its interval over trainings (None for one seed). combined: of the one over trainings and
    test images; None for one seed, and where the images' part is none or not known. std_error: of the mean
    over test images. images: how many items each seed's value averages, None where that is not known.
    partial: it is a likelihood of fewer images than the test split has. values: of the seeds. points: values
    [n, images] by test image (`rows`), or None. bound: it stands among other bounds, and names its own.
    """

    metric: str
    unit: str
    kind: str
    mean: float
    half_width: float | None
    std_error: float | None
    n: int
    best: bool = False
    images: int | None = None
    partial: bool = False
    values: tuple[float, ...] = ()
    combined: float | None = None
    points: np.ndarray | None = None
    rows: np.ndarray | None = None
    bound: str = ""

    @property
    def widest(self) -> float | None:
        """Half the widest interval that is known: over trainings and test images, or over one of them."""
        if self.combined is not None:
            return self.combined
        return self.half_width if self.n > 1 else self.over_images

    @property
    def over_images(self) -> float | None:
        """Half the interval over test images alone."""
        return None if self.std_error is None else Part(self.std_error**2).half_width()

    @property
    def text(self) -> str:
        """`= −86.76 ± 0.39 (0.06)`, or for one seed `= −86.76 ± 0.39 (1 seed)`; kinds of likelihoods only."""
        alone = "" if self.combined is None else f"({spread(self.half_width or 0.0, self.unit)})"
        source = "(1 seed)" if self.n < 2 and not self.is_count else alone
        return " ".join(part for part in (self.plain, source, self.bound, PARTIAL * self.partial) if part)

    @property
    def plain(self) -> str:
        """Mean and widest interval alone, `= −86.76 ± 0.39`, for sentences."""
        if self.is_count:
            return f"{self.mean:,.0f}"
        likelihood = declared(self.metric).likelihood
        mark = kind_mark(self.metric, self.kind, self.unit) + " " if likelihood else ""
        shown = mark + number(self.mean, decimals(self.widest or 0.0, self.unit))
        return shown if self.widest is None else f"{shown} ± {spread(self.widest, self.unit)}"

    @property
    def is_count(self) -> bool:
        """Whether it is a whole number that does not vary."""
        return declared(self.metric).whole and not self.half_width


def summarised(records: pd.DataFrame, points: SeedPoints | None = None) -> Cell:
    """The cell of one metric in one unit from its records, one a seed; seeds must agree on the kind.

    points: of the seeds, where there are any.
    """
    metric, unit = str(records["metric"].iloc[0]), str(records["unit"].iloc[0])
    kinds = list(dict.fromkeys(records["kind"]))
    if len(kinds) > 1:
        raise ValueError(f"{metric}: seeds disagree on its kind ({', '.join(kinds)})")
    values = [float(value) for value in records["value"]]
    by_image, rows = _aligned(records, points or {})
    found = _sources(metric, values, by_image, records["std_error"])
    images = found.images.variance
    return Cell(
        metric=metric,
        unit=unit,
        kind=kinds[0],
        mean=float(np.mean(values)),
        half_width=None if found.trainings is None else found.trainings.half_width(),
        std_error=math.sqrt(images) if images > 0 else None,
        n=len(values),
        images=int(records["n"].min()),
        values=tuple(values),
        combined=found.half_width() if images > 0 else None,
        points=by_image,
        rows=rows,
    )


def _aligned(records: pd.DataFrame, points: SeedPoints) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Values [seeds, n] and the n test images that they are of, if all seeds have them on the same images."""
    key = str(records["metric"].iloc[0]), str(records["unit"].iloc[0])
    own = [points[seed][key] for seed in records["seed"] if key in points.get(seed, {})]
    if len(own) < len(records) or any(not np.array_equal(each.images, own[0].images) for each in own):
        return None, None
    values = np.stack([each.values for each in own])
    if values.shape[1] < 2 or not np.isfinite(values).all():
        return None, None
    return values, own[0].images


def _sources(
    metric: str, values: Sequence[float], by_image: np.ndarray | None, errors: pd.Series[float]
) -> Sources:
    """From values by image, else from the standard errors of single seeds, which share the test images."""
    trainings = over_trainings(values)
    if by_image is not None:
        found = sources(by_image)
        return Sources(trainings, found.images, found.interaction)
    known = errors.dropna().to_numpy(dtype=float)
    if not declared(metric).over_test_images or len(known) < len(values):
        return Sources(trainings)
    return Sources(trainings, Part(float(np.square(known).mean())))


def headline_metric(records: pd.DataFrame) -> str | None:
    """The metric behind a model's headline log-likelihood, given its records in one unit; None without any.

    Of the bounds that most seeds have (one that a single seed has is no comparison), the tightest: exact,
    else importance sampling with most draws or annealing, else the ELBO. Of two that are alike in that, the
    one over more images, and of those the higher. So a tight bound of fewer images, whose interval is the
    wider, goes before a loose one of all.
    """
    bounds = records.loc[[declared(str(metric)).tightness is not None for metric in records["metric"]]]
    ranks = {str(metric): _rank(str(metric), own) for metric, own in bounds.groupby("metric")}
    return max(with_most_draws(ranks), key=ranks.__getitem__, default=None)


def _rank(metric: str, records: pd.DataFrame) -> tuple[int, int, int, float]:
    sign = -1 if records["unit"].iloc[0] == "bits_per_dim" else 1
    return (
        records["seed"].nunique(),
        declared(metric).tightness or 0,
        int(records["n"].min()),
        sign * float(records["value"].mean()),
    )


def spread(value: float, unit: str) -> str:
    """Half an interval in two significant digits."""
    return number(value, decimals(value, unit)) if value else "0"


def decimals(spread: float, unit: str) -> int:
    """Decimals that show two significant digits of a spread (at most four); the unit's default for zero.

    Negative for spreads of 100 and more: so many digits before the point are noise.
    """
    if not spread or not math.isfinite(spread):
        return _DEFAULT_DECIMALS.get(unit, 3)
    return min(4, 1 - math.floor(math.log10(spread)))


def number(value: float, digits: int) -> str:
    """A rounded number with a true minus sign, which neither wraps nor reads as a hyphen."""
    # z: what rounds to zero has no sign, so that -0.0004 is 0.000 and not −0.000.
    return f"{round(value, digits):z,.{max(0, digits)}f}".replace("-", "−")
