"""Means over seeds with their Student-t intervals, and the binomial error of an accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.special import stdtrit


def mean_and_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float | None]:
    """Mean of `values` (one per seed) and half the width of its Student-t interval.

    The half-width is None for a single value: one seed says nothing about the spread.
    Raises ValueError if `values` is empty or `level` is not inside (0, 1).
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"the level of an interval lies strictly between 0 and 1, not {level}")
    count = len(values)
    if count == 0:
        raise ValueError("an interval needs at least one value, and there is none")
    mean = math.fsum(values) / count
    if count == 1:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    quantile = float(stdtrit(count - 1, 0.5 + level / 2))
    return mean, quantile * math.sqrt(variance / count)


def binomial_std_error(percent: float, n: int) -> float:
    """Standard error, in percentage points, of an accuracy of `percent` over `n` independent items."""
    if n < 1:
        raise ValueError("an accuracy needs at least one item")
    share = percent / 100.0
    return 100.0 * math.sqrt(max(share * (1.0 - share), 0.0) / n)
