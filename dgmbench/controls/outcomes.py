"""From numbers with their uncertainty to the outcome of a claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from dgmbench.controls.control import Curve, Outcome
from dgmbench.statistics import mean_and_interval, sources

NORMAL_QUANTILE = 1.96


@dataclass(frozen=True)
class Interval:
    """A mean and half the width of its 95 % interval."""

    mean: float
    half: float

    @classmethod
    def normal(cls, mean: float, std_error: float) -> Interval:
        """The interval of an estimate whose standard error is known."""
        return cls(mean, NORMAL_QUANTILE * std_error)

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half

    def less(self, amount: float) -> Interval:
        """The interval of the difference to a fixed amount."""
        return Interval(self.mean - amount, self.half)

    def told(self, more: str, less: str, unit: str = " nats") -> str:
        """``3.2 ± 0.4 nats above``: `more` or `less` by the sign, or that the interval holds zero."""
        size = f"{abs(self.mean):,.1f} ± {self.half:,.1f}{unit}"
        if self.low <= 0 <= self.high:
            return f"not clearly {more} or {less} ({self.mean:+,.1f} ± {self.half:,.1f}{unit})"
        return f"{size} {more if self.mean > 0 else less}"


def mean_interval(values: Tensor) -> Interval:
    """Interval of the mean of ``values [repetitions, n]``, scores (or their differences) of n test points.

    Over repetitions and test points, which all repetitions share (see `dgmbench.statistics`); one repetition
    has only the second.
    """
    found = sources(values.numpy())
    half = found.half_width()
    return Interval(float(values.double().mean()), found.images.half_width() if half is None else half)


def over_repetitions(values: Sequence[float]) -> Interval:
    """Student's interval of the mean of two or more repetitions."""
    mean, half = mean_and_interval(values)
    if half is None:
        raise ValueError(f"an interval needs two or more finite values, not {list(values)}")
    return Interval(mean, half)


def rate_interval(successes: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate (Wilson 1927), which also says something at 0 and at n of n."""
    z2 = NORMAL_QUANTILE**2
    share = successes / n
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = NORMAL_QUANTILE * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def rate_difference(first: int, n: int, second: int, m: int) -> Interval:
    """95 % interval of first/n - second/m, a success and a failure added to each (Agresti & Caffo 2000)."""
    rates = [(successes + 1) / (trials + 2) for successes, trials in ((first, n), (second, m))]
    variance = sum(rate * (1 - rate) / (trials + 2) for rate, trials in zip(rates, (n, m), strict=True))
    return Interval.normal(rates[0] - rates[1], math.sqrt(variance))


def judge(parts: Sequence[Interval]) -> Outcome:
    """The outcome of a claim that says of each part that it is above zero.

    Shown if all of them are, with their whole interval; not shown if one is not, with its whole interval;
    otherwise (and where there is no part) undecided.
    """
    if any(part.high <= 0 for part in parts):
        return "not shown"
    return "shown" if parts and all(part.low > 0 for part in parts) else "undecided"


def curve_of(name: str, x: Sequence[float], intervals: Sequence[Interval]) -> Curve:
    """A line through the means, with the intervals as its band."""
    lows, highs = [interval.low for interval in intervals], [interval.high for interval in intervals]
    return Curve(name, x, [interval.mean for interval in intervals], lows, highs)
