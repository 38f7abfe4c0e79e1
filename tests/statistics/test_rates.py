"""Intervals of rates against SciPy, closed forms, and how often they cover the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dgmbench.statistics import agresti_coull_interval, binomial_std_error, rate_difference, wilson_interval


def test_binomial_error_of_an_accuracy() -> None:
    assert binomial_std_error(90.0, 100) == pytest.approx(3.0)
    assert binomial_std_error(100.0, 100) == 0.0
    with pytest.raises(ValueError, match="at least one"):
        binomial_std_error(50.0, 0)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 10), (10, 10), (47, 50)])
def test_a_rate_has_wilson_s_interval(successes: int, n: int) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(0.95, "wilson")
    found = wilson_interval(successes, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_two_successes_and_two_failures_are_added_as_agresti_and_coull_do() -> None:
    found = agresti_coull_interval(0, 96)
    assert found.mean == pytest.approx(0.02)
    assert found.half == pytest.approx(1.959964 * 0.014, rel=1e-6)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.8])
def test_the_intervals_of_a_rate_cover_it_as_often_as_they_say(share: float) -> None:
    """Exactly, by the binomial distribution of the counts of 100 trials."""
    counts = np.arange(101)
    weights = stats.binom.pmf(counts, 100, share)
    for interval in (wilson_interval, agresti_coull_interval):
        held = [interval(int(k), 100).low <= share <= interval(int(k), 100).high for k in counts]
        assert 0.92 <= float(weights @ held) <= 0.99


def test_the_difference_of_rates_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for first, second in zip(rng.binomial(10, 0.8, 2000), rng.binomial(10, 0.4, 2000), strict=True):
        found = rate_difference(int(first), 10, int(second), 10)
        hits += found.low <= 0.4 <= found.high
    assert 0.93 <= hits / 2000 <= 0.99
    assert rate_difference(10, 10, 10, 10).low < 0 < rate_difference(10, 10, 0, 10).low
