"""Spearman's rank correlation with its exact p-value, of models or of seeds within models.

With few values the p-value is that of all permutations (Fisher's exact test of independence), with more it is
that of Student's t. An interval (Bonett & Wright 2000, Psychometrika 65) is given from `FEWEST_INTERVAL`
values on; below that the normal approximation behind it does not hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from dgmbench.statistics import normal_quantile

# With fewer values no order at all is rarer than 1 in 20: two of 4! = 24 are as extreme as the most extreme.
FEWEST = 5
# Up to so many values all permutations are counted; 8! = 40,320.
COUNTED = 8
FEWEST_INTERVAL = 10
_LEVEL = 0.95
# Correlations are compared after rounding to so many digits: permutations of one sum differ in the last bits.
_DIGITS = 9
_SLACK = 1e-7


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho of n pairs. p: two-sided. low, high: ends of a 95 % interval, None where n is small.

    groups: models whose seeds it is over; 0 for one over models.
    """

    rho: float
    n: int
    p: float
    low: float | None = None
    high: float | None = None
    groups: int = 0


def over_models(first: Sequence[float], second: Sequence[float]) -> Correlation | None:
    """Of values [n] of n models; None where they are too few, or all alike in one of the two.

    What is not finite has no rank: its pair is left out.
    """
    first, second = _finite(first, second)
    n = len(first)
    if n < FEWEST:
        return None
    rho = spearman(first, second)
    if rho is None:
        return None
    if n <= COUNTED:
        return Correlation(rho, n, _tail(_distribution(first, second), rho))
    from scipy.stats import spearmanr

    p = float(spearmanr(first, second).pvalue)
    return Correlation(rho, n, p, *(_interval(rho, n) if n >= FEWEST_INTERVAL else (None, None)))


def over_seeds(groups: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Correlation | None:
    """Over the seeds of models: the mean of the correlations within each, weighted by its n - 1.

    What differs from model to model plays no part. The p-value counts the permutations of seeds within each
    model, all combined. None where even the rarest combination would not be rarer than 1 in 20.

    groups: for each model its values in two metrics, one a seed; one whose seeds are alike does not count.
    """
    found = []
    for first, second in (_finite(*group) for group in groups):
        rho = spearman(first, second) if 2 <= len(first) <= COUNTED else None
        if rho is not None:
            found.append((len(first) - 1, rho, _distribution(first, second)))
    total = sum(weight for weight, _, _ in found)
    if not found:
        return None
    combined = {0.0: 1.0}
    for weight, _, distribution in found:
        combined = _added(combined, {rho * weight / total: share for rho, share in distribution.items()})
    if _tail(combined, max(combined, key=abs)) > 1 - _LEVEL:
        return None
    rho = sum(weight * own for weight, own, _ in found) / total
    n = sum(weight + 1 for weight, _, _ in found)
    return Correlation(rho, n, _tail(combined, rho), groups=len(found))


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """The correlation of the ranks, ties sharing theirs; None where the values of one are all alike."""
    ranks = [_ranks(values) for values in (first, second)]
    one, two = (own - own.mean() for own in ranks)
    scale = math.sqrt(float(one @ one) * float(two @ two))
    return float(one @ two) / scale if scale else None


def _finite(first: Sequence[float], second: Sequence[float]) -> tuple[list[float], list[float]]:
    pairs = zip(first, second, strict=True)
    found = [(one, two) for one, two in pairs if math.isfinite(one) and math.isfinite(two)]
    return [one for one, _ in found], [two for _, two in found]


def _ranks(values: Sequence[float]) -> np.ndarray:
    """1 for the smallest; ties share the mean of theirs."""
    array = np.asarray(values, dtype=np.float64)
    below = (array[:, None] > array[None, :]).sum(1)
    alike = (array[:, None] == array[None, :]).sum(1)
    return below + (alike + 1) / 2


def _distribution(first: Sequence[float], second: Sequence[float]) -> dict[float, float]:
    """The share of permutations by correlation, for values that are not all alike."""
    one, two = (_ranks(values) - (len(first) + 1) / 2 for values in (first, second))
    orders = np.array(list(permutations(range(len(first)))))
    scale = math.sqrt(float(one @ one) * float(two @ two))
    rhos, counts = np.unique(np.round(two[orders] @ one / scale, _DIGITS), return_counts=True)
    return {float(rho): int(count) / len(orders) for rho, count in zip(rhos, counts, strict=True)}


def _added(first: dict[float, float], second: dict[float, float]) -> dict[float, float]:
    """The distribution of the sum of two independent numbers."""
    found: dict[float, float] = {}
    for one, share in first.items():
        for two, other in second.items():
            key = round(one + two, _DIGITS)
            found[key] = found.get(key, 0.0) + share * other
    return found


def _tail(distribution: dict[float, float], rho: float) -> float:
    """The share of what is at least as far from zero as `rho`."""
    limit = abs(rho) - _SLACK
    return min(1.0, sum(share for value, share in distribution.items() if abs(value) >= limit))


def _interval(rho: float, n: int) -> tuple[float, float]:
    """By Fisher's transformation with the variance of Bonett & Wright."""
    if abs(rho) >= 1:
        return rho, rho
    half = normal_quantile(0.5 + _LEVEL / 2) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    middle = math.atanh(rho)
    return math.tanh(middle - half), math.tanh(middle + half)
