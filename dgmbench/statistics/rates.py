"""Shares of independent trials that succeed, and their differences."""

from __future__ import annotations

import math

from dgmbench.statistics.interval import LEVEL, Interval, normal_quantile


def binomial_std_error(percent: float, n: int) -> float:
    """Standard error, in percentage points, of an accuracy of `percent` over `n` independent items."""
    if n < 1:
        raise ValueError("an accuracy needs at least one item")
    share = percent / 100.0
    return 100.0 * math.sqrt(max(share * (1.0 - share), 0.0) / n)


def wilson_interval(successes: float, n: int) -> Interval:
    """Of a rate (Wilson 1927): inside [0, 1], and of some width at 0 and at n of n too."""
    z2 = normal_quantile(0.5 + LEVEL / 2) ** 2
    share = successes / n
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval.between(max(middle - half, 0.0), min(middle + half, 1.0))


def agresti_coull_interval(successes: float, n: int) -> Interval:
    """Of a rate, two successes and two failures added (Agresti & Coull 1998)."""
    share = (successes + 2) / (n + 4)
    return Interval.normal(share, math.sqrt(share * (1 - share) / (n + 4)))


def rate_difference(first: int, n: int, second: int, m: int) -> Interval:
    """Of first/n - second/m, a success and a failure added to each (Agresti & Caffo 2000)."""
    rates = [(successes + 1) / (trials + 2) for successes, trials in ((first, n), (second, m))]
    variance = sum(rate * (1 - rate) / (trials + 2) for rate, trials in zip(rates, (n, m), strict=True))
    return Interval.normal(rates[0] - rates[1], math.sqrt(variance))
