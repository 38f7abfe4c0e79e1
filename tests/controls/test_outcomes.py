"""Intervals against SciPy, and the rule from intervals to an outcome."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from dgmbench.controls.outcomes import (
    Interval,
    curve_of,
    judge,
    mean_interval,
    over_repetitions,
    rate_difference,
    rate_interval,
)
from dgmbench.statistics import sources


def test_one_repetition_gives_the_t_interval_of_the_points() -> None:
    values = torch.randn(1, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 2
    found = mean_interval(values)
    flat = values[0].numpy()
    expected = stats.t.interval(0.95, 29, flat.mean(), stats.sem(flat))
    assert (found.low, found.high) == pytest.approx(expected)


def test_repetitions_and_points_are_those_of_the_statistics() -> None:
    values = torch.randn(4, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = mean_interval(values)
    assert found.half == sources(values.numpy()).half_width()
    assert found.mean == pytest.approx(float(values.mean()))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Repetition effects of 1 and point effects of 2 around a mean of 0, over 1000 draws."""
    generator = torch.Generator().manual_seed(2)
    hits = 0
    for _ in range(1000):
        points = 2 * torch.randn(1, 40, generator=generator, dtype=torch.float64)
        repeated = torch.randn(4, 1, generator=generator, dtype=torch.float64)
        found = mean_interval(points + repeated)
        hits += found.low <= 0 <= found.high
    assert 940 <= hits <= 1000


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ([(2.0, 1.0), (5.0, 1.0)], "shown"),
        ([(2.0, 1.0), (0.5, 1.0)], "undecided"),
        ([(2.0, 1.0), (-0.5, 1.0)], "undecided"),
        ([(2.0, 1.0), (0.5, 1.0), (-5.0, 1.0)], "not shown"),
        ([(0.0, 0.0)], "not shown"),
        ([], "undecided"),
    ],
)
def test_the_outcome_follows_the_intervals(parts: list[tuple[float, float]], outcome: str) -> None:
    assert judge([Interval(*part) for part in parts]) == outcome


def test_intervals_are_told_by_their_sign() -> None:
    assert Interval(1234.56, 0.44).told("above", "below") == "1,234.6 ± 0.4 nats above"
    assert Interval(-3.0, 1.0).told("higher", "lower", "") == "3.0 ± 1.0 lower"
    assert Interval(-0.5, 1.0).told("above", "below") == "not clearly above or below (-0.5 ± 1.0 nats)"
    assert Interval(3.0, 1.0).less(5.0) == Interval(-2.0, 1.0)
    assert Interval.normal(1.0, 0.5) == Interval(1.0, 0.98)


def test_a_curve_takes_its_band_from_the_intervals() -> None:
    curve = curve_of("a", [1.0, 2.0], [Interval(3.0, 1.0), Interval(5.0, 0.5)])
    assert (curve.y, curve.low, curve.high) == ([3.0, 5.0], [2.0, 4.5], [4.0, 5.5])


def test_repetitions_give_the_t_interval() -> None:
    values = [0.3, 0.9, 0.4]
    found = over_repetitions(values)
    assert (found.low, found.high) == pytest.approx(
        stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    )
    with pytest.raises(ValueError, match="two or more"):
        over_repetitions([0.3])


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 10), (10, 10), (47, 50)])
def test_a_rate_has_wilson_s_interval(successes: int, n: int) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(0.95, "wilson")
    assert rate_interval(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-4)


def test_the_difference_of_rates_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for first, second in zip(rng.binomial(10, 0.8, 2000), rng.binomial(10, 0.4, 2000), strict=True):
        found = rate_difference(int(first), 10, int(second), 10)
        hits += found.low <= 0.4 <= found.high
    assert 0.93 <= hits / 2000 <= 0.99
    assert rate_difference(10, 10, 10, 10).low < 0 < rate_difference(10, 10, 0, 10).low
