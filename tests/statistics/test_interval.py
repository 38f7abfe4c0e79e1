"""The interval itself: its ends, its words, its quantiles against SciPy."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from dgmbench.statistics import Interval, normal_quantile, student_quantile


@pytest.mark.parametrize("probability", [1e-9, 0.025, 0.5, 0.975, 1 - 1e-6])
def test_quantiles_are_those_of_scipy(probability: float) -> None:
    assert normal_quantile(probability) == pytest.approx(stats.norm.ppf(probability), rel=1e-9, abs=1e-12)
    for freedom in (1, 2.5, 30):
        expected = stats.t.ppf(probability, freedom)
        assert student_quantile(probability, freedom) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert student_quantile(0.975, math.inf) == pytest.approx(stats.norm.ppf(0.975), rel=1e-5)


def test_ends_and_differences() -> None:
    found = Interval(3.0, 1.0)
    assert (found.low, found.high, found.is_clear) == (2.0, 4.0, True)
    assert found.less(5.0) == Interval(-2.0, 1.0)
    assert found.below(5.0) == Interval(2.0, 1.0)
    assert Interval.between(1.0, 5.0) == Interval(3.0, 2.0)
    assert Interval.normal(1.0, 0.5).half == pytest.approx(0.98, abs=1e-4)


def test_one_value_has_an_interval_without_ends() -> None:
    assert not Interval(7.0).is_known and not Interval(7.0).is_clear
    assert (Interval(7.0).low, Interval(7.0).high) == (-math.inf, math.inf)


def test_words_follow_the_sign() -> None:
    assert Interval(1234.56, 0.44).words("above", "below") == "1,234.6 ± 0.4 nats above"
    assert Interval(-3.0, 1.0).words("higher", "lower", "") == "3.0 ± 1.0 lower"
    assert Interval(-0.5, 1.0).words("above", "below") == "not clearly above or below (-0.5 ± 1.0 nats)"


def test_a_difference_that_rounds_to_zero_has_no_minus_sign() -> None:
    assert Interval(-1e-15, 1.0).words("above", "below") == "not clearly above or below (+0.0 ± 1.0 nats)"
