"""Cells of a comparison: one metric of one model over its seeds, with interval, kind and rounding.

The interval of a mean over n seeds is the two-sided 95 % Student t interval, mean ± t(0.975, n - 1) s /
sqrt(n), which speaks about retraining with another seed. With one seed there is no such interval; the cell
then shows the standard error over test points, as `(se 0.40)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dgmbench.reporting import vocabulary as words
from dgmbench.statistics import mean_and_interval

CONFIDENCE = 0.95
# After a likelihood of fewer images than the test split has.
PARTIAL = "†"
# After the name of a metric that fails a control.
FAILING = "‡"
# Below this share of the mean, a spread is the rounding of the mean of equal values.
_ROUND_OFF = 1e-12
_DEFAULT_DECIMALS = {"nats": 2, "bits_per_dim": 3, "percent": 2, "seconds": 1, "images_per_second": 0}


@dataclass(frozen=True)
class Column:
    """A metric in one unit; `tightest` marks the column that takes each model's best bound.

    failing: a control shows that the metric misses what it is to notice.
    """

    metric: str
    unit: str
    tightest: bool = False
    failing: bool = False

    @property
    def key(self) -> str:
        """Name in CSV headings, e.g. `elbo [nats]`."""
        return f"{self.metric} [{self.unit}]"

    @property
    def direction(self) -> words.Direction:
        """Which way is better."""
        return words.direction(self.metric, self.unit)

    @property
    def label(self) -> str:
        """Name for readers, without arrow or unit."""
        bits = self.tightest and self.unit == "bits_per_dim"
        return "bits/dim" if bits else words.label(self.metric)

    @property
    def title(self) -> str:
        """Name for readers with an arrow towards better, without unit."""
        arrow = {"higher": " ↑", "lower": " ↓", "one": " → 1", "none": ""}[self.direction]
        return self.label + arrow + (f" {FAILING}" if self.failing else "")

    @property
    def unit_words(self) -> str:
        """The unit in parentheses; empty where it is in the title or there is none."""
        unit = words.UNIT_WORDS[self.unit]
        return f"({unit})" if unit and not self.title.startswith(unit) else ""

    @property
    def heading(self) -> str:
        """Title and unit in one line."""
        return f"{self.title} {self.unit_words}".rstrip()


@dataclass
class Cell:
    """One model's value in one column: mean over `n` seeds, half-width of its interval (None if n < 2).

    images: how many items each seed's value averages, None where that is not known. partial: it is a
    likelihood of fewer images than the test split has. values: of the seeds.
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

    @property
    def text(self) -> str:
        """`= −86.76 ± 0.30`, or for one seed `= −86.76 (se 0.40)`; the kind mark on likelihoods only."""
        return self._number + (f" {PARTIAL}" if self.partial else "")

    @property
    def _number(self) -> str:
        mark = words.kind_mark(self.kind, self.unit) + " " if words.is_likelihood(self.metric) else ""
        if self.metric == "parameters" and not self.half_width:
            return f"{self.mean:,.0f}"
        if self.half_width is None:
            return mark + _one_seed_text(self.mean, self.std_error, self.unit)
        digits = decimals(self.half_width, self.unit)
        half = number(self.half_width, digits) if self.half_width else "0"
        return f"{mark}{number(self.mean, digits)} ± {half}"


def summarised(records: pd.DataFrame) -> Cell:
    """The cell of one metric in one unit from its records, one a seed; seeds must agree on the kind."""
    metric, unit = str(records["metric"].iloc[0]), str(records["unit"].iloc[0])
    kinds = list(dict.fromkeys(records["kind"]))
    if len(kinds) > 1:
        raise ValueError(f"{metric}: seeds disagree on its kind ({', '.join(kinds)})")
    values = [float(value) for value in records["value"]]
    std_error = float(records["std_error"].iloc[0]) if len(values) == 1 else math.nan
    return Cell(
        metric=metric,
        unit=unit,
        kind=kinds[0],
        mean=float(np.mean(values)),
        half_width=half_width(values),
        std_error=None if math.isnan(std_error) else std_error,
        n=len(values),
        images=int(records["n"].min()),
        values=tuple(values),
    )


def headline_metric(records: pd.DataFrame) -> str | None:
    """The metric behind a model's headline log-likelihood, given its records in one unit; None without any.

    Only bounds over the largest number of images that the model has count, since others are of another
    sample; of those the ones that most seeds have (a bound that one seed alone has is no comparison), and
    of those the tightest: exact, else the higher of annealing and importance sampling with most draws, else
    the ELBO.
    """
    bounds = records.loc[[words.tightness(str(metric)) is not None for metric in records["metric"]]]
    bounds = bounds[bounds["n"] == bounds["n"].max()]
    ranks = {str(metric): _rank(str(metric), own) for metric, own in bounds.groupby("metric")}
    draws = [k for metric in ranks if (k := words.importance_draws(metric))]
    eligible = [metric for metric in ranks if words.importance_draws(metric) in (None, max(draws, default=0))]
    return max(eligible, key=ranks.__getitem__, default=None)


def _rank(metric: str, records: pd.DataFrame) -> tuple[int, int, float]:
    sign = -1 if records["unit"].iloc[0] == "bits_per_dim" else 1
    return records["seed"].nunique(), words.tightness(metric) or 0, sign * float(records["value"].mean())


def half_width(values: Sequence[float], confidence: float = CONFIDENCE) -> float | None:
    """Half-width of the Student t interval of a mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    if float(np.std(np.asarray(values), ddof=1)) <= _ROUND_OFF * abs(float(np.mean(values))):
        return 0.0
    return mean_and_interval(values, confidence)[1]


def mark_best(column: Column, cells: Sequence[Cell]) -> None:
    """Set `best` on the leading cell if its interval is clear of every other model's.

    A cell without an interval (one seed) blocks the mark: nothing is known about its spread. So does a
    leader whose likelihood is of other images than the rest.
    """
    if column.direction not in ("higher", "lower") or len(cells) < 2:
        return
    sign = 1 if column.direction == "higher" else -1
    leader = max(cells, key=lambda cell: sign * cell.mean)
    alike = {(cell.partial, cell.images if cell.partial else None) for cell in cells}
    if len(alike) > 1 and leader.partial:
        return
    leader.best = all(is_clear(leader, cell, sign) for cell in cells if cell is not leader)


def is_clear(leader: Cell, other: Cell, sign: int = 1) -> bool:
    """Whether `leader` lies above (`sign` 1) or below (-1) `other`, intervals apart; unknown ones are not."""
    if leader.half_width is None or other.half_width is None:
        return False
    return sign * (leader.mean - other.mean) > leader.half_width + other.half_width


def decimals(spread: float, unit: str) -> int:
    """Decimals that show two significant digits of a spread (at most four); the unit's default for zero.

    Negative for spreads of 100 and more: so many digits before the point are noise.
    """
    if not spread or not math.isfinite(spread):
        return _DEFAULT_DECIMALS.get(unit, 3)
    return min(4, 1 - math.floor(math.log10(spread)))


def number(value: float, digits: int) -> str:
    """A rounded number with a true minus sign, which neither wraps nor reads as a hyphen."""
    return f"{round(value, digits):,.{max(0, digits)}f}".replace("-", "−")


def _one_seed_text(mean: float, std_error: float | None, unit: str) -> str:
    if std_error is None:
        return f"{number(mean, decimals(0.0, unit))} (1 seed)"
    digits = decimals(std_error, unit)
    return f"{number(mean, digits)} (se {number(std_error, digits)})"
