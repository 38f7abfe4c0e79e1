"""An interval, and the quantiles that intervals are made with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95
# Beyond so many degrees of freedom Student's t is the normal distribution to seven digits.
_MANY = 1e6


@dataclass(frozen=True)
class Interval:
    """A mean and half the width of its 95 % interval, which is infinite where nothing is known of it."""

    mean: float
    half: float = math.inf

    @classmethod
    def normal(cls, mean: float, std_error: float) -> Interval:
        """The interval of an estimate whose standard error is known."""
        return cls(mean, normal_quantile(0.5 + LEVEL / 2) * std_error)

    @classmethod
    def between(cls, low: float, high: float) -> Interval:
        """The interval with these ends; its mean is the middle."""
        return cls(0.5 * (low + high), 0.5 * (high - low))

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half

    @property
    def is_known(self) -> bool:
        """Whether anything is known of its width: one seed says nothing about the next."""
        return math.isfinite(self.half)

    @property
    def is_clear(self) -> bool:
        """Whether zero lies outside of it."""
        return abs(self.mean) > self.half

    def less(self, amount: float) -> Interval:
        """The interval of the difference to a fixed amount."""
        return Interval(self.mean - amount, self.half)

    def words(self, more: str, less: str, unit: str = " nats") -> str:
        """``3.2 ± 0.4 nats above``: `more` or `less` by the sign, or that the interval holds zero."""
        half = f"± {self.half:,.1f}{unit}"
        if self.low <= 0 <= self.high:
            # z: a difference of -1e-15 is +0.0.
            return f"not clearly {more} or {less} ({self.mean:+z,.1f} {half})"
        return f"{abs(self.mean):,.1f} {half} {more if self.mean > 0 else less}"

    def below(self, limit: float) -> Interval:
        """The interval of how far this lies below a fixed limit."""
        return Interval(limit - self.mean, self.half)


def normal_quantile(probability: float) -> float:
    """The point below which a standard normal variable falls with that probability."""
    return NormalDist().inv_cdf(probability)


def student_quantile(probability: float, freedom: float) -> float:
    """The same of Student's t with so many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(min(freedom, _MANY), probability))


def chi2_quantile(probability: float, freedom: float) -> float:
    """The same of the sum of so many squared standard normal variables."""
    from scipy.special import chdtri

    return float(chdtri(freedom, 1 - probability))


def simultaneous(count: int, level: float = LEVEL) -> float:
    """The level of each of `count` intervals that all hold together with probability `level` (Bonferroni)."""
    return 1 - (1 - level) / max(count, 1)
