"""One comparison of a claim: how far a number lies beyond what is claimed, at any level, and in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from dgmbench.claims.evidence import Score
from dgmbench.metrics import UNITS, declared
from dgmbench.reporting.comparison.cells import decimals, number, spread
from dgmbench.reporting.comparison.paired import difference
from dgmbench.statistics import LEVEL, Interval, unpaired_difference

# All seeds of a model are timed under one load of the machine, which their spread does not show. Two runs of
# one code on digits differ by 1.7 times in the sampling rate of a PixelCNN.
LOAD = 2.0
ONE_SEED = "more than one seed: a single one says nothing about other trainings"
# An interval of the number compared, at a level.
AtLevel = Callable[[float], Interval]


@dataclass(frozen=True)
class Comparison:
    """A number that the claim says is above `margin`.

    interval: of the number. words: one clause with the numbers and their interval at 95 %. models, metrics:
    of the rows behind it. lacks: what would make a width of the interval known that is not.
    """

    interval: AtLevel
    words: str
    models: tuple[str, ...]
    metrics: tuple[str, ...]
    margin: float = 0.0
    lacks: str = ONE_SEED

    def part(self, level: float = LEVEL) -> Interval:
        """Above zero where the number is above the margin."""
        return self.interval(level).less(self.margin)


def higher(first: Score, second: Score) -> Comparison:
    """That the first score is the higher number of the two."""
    return Comparison(
        lambda level: _difference(first, second, level),
        _differ(first, second),
        (first.model, second.model),
        tuple(dict.fromkeys((first.cell.metric, second.cell.metric))),
    )


def lower(first: Score, second: Score) -> Comparison:
    """That the first score is the lower number of the two."""
    return replace(higher(second, first), words=_differ(first, second), models=(first.model, second.model))


def below(score: Score, limit: float, what: str) -> Comparison:
    """That a score lies below a fixed number, which is that of `what`."""
    values = (limit,) * len(score.cell.values)
    cell = replace(score.cell, mean=limit, values=values, std_error=None, points=None, rows=None)
    words = f"{_label(score)} of {_shown(score)} against {limit:g} of {what}"
    return replace(higher(Score(what, cell), score), words=words, models=(score.model,))


def times(first: Score, second: Score, factor: float) -> Comparison:
    """That the first of two timings is at least `factor` times the second.

    The interval is that of the difference of logarithms over seeds (Welch), widened by `LOAD` on either side.
    """

    def interval(level: float) -> Interval:
        found = unpaired_difference(_logs(first), _logs(second), level=level)
        return Interval(found.mean, found.half + math.log(LOAD))

    words = f"{_label(first)} of {_shown(first)} against {_shown(second)} ({_ratio(interval(LEVEL))})"
    models = first.model, second.model
    return Comparison(interval, words, models, (first.cell.metric,), math.log(factor))


def incomparable(found: Comparison, why: str, lacks: str) -> Comparison:
    """The same with nothing known of its interval."""
    return replace(
        found,
        interval=lambda level: Interval(found.interval(level).mean),
        words=f"{found.words}: {why}",
        lacks=lacks,
    )


def _difference(first: Score, second: Score, level: float) -> Interval:
    found = difference(first.cell, second.cell, level)
    return Interval(first.cell.mean - second.cell.mean) if found is None else found


def _differ(first: Score, second: Score) -> str:
    found = _difference(first, second, LEVEL)
    unit = UNITS[first.cell.unit]
    size = number(found.mean, decimals(found.half, first.cell.unit))
    half = f" ± {spread(found.half, first.cell.unit)}" if found.is_known else ", without an interval"
    said = f"difference {size}{half}" + f" {unit}" * bool(unit)
    return f"{_label(first)} of {_shown(first)} against {_shown(second)} ({said})"


def _logs(score: Score) -> list[float]:
    # What a clock cannot tell from nothing takes a nanosecond.
    return [math.log(max(value, 1e-9)) for value in score.cell.values]


def _label(score: Score) -> str:
    return declared(score.cell.metric).label


def _shown(score: Score) -> str:
    unit = UNITS[score.cell.unit]
    # A Parzen score's star belongs to tables, where it is explained.
    return f"{score.model} {score.cell.plain.removeprefix('* ')}" + f" {unit}" * bool(unit)


def _ratio(logs: Interval) -> str:
    if not logs.is_known:
        return f"{_short(math.exp(logs.mean))} times, without an interval"
    ends = f"{_short(math.exp(logs.low))} to {_short(math.exp(logs.high))}"
    return f"{_short(math.exp(logs.mean))} times; {ends} with a factor of {LOAD:g} for the machine's load"


def _short(value: float) -> str:
    """Two significant digits."""
    return number(value, decimals(value, "1"))
