"""The interval itself: its ends, its words, its quantiles against SciPy."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from dgmbench.statistics import Interval, chi2_quantile, normal_quantile, simultaneous, student_quantile


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


@pytest.mark.parametrize("freedom", [1, 2, 30])
@pytest.mark.parametrize("probability", [0.025, 0.5, 0.999])
def test_quantiles_of_squares_are_those_of_scipy(probability: float, freedom: int) -> None:
    assert chi2_quantile(probability, freedom) == pytest.approx(stats.chi2.ppf(probability, freedom))


def test_simultaneous_levels_share_the_chance_of_a_miss() -> None:
    assert simultaneous(0) == simultaneous(1) == 0.95
    assert simultaneous(10) == pytest.approx(0.995)
