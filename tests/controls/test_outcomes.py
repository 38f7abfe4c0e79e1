"""Intervals against SciPy, and the rule from intervals to an outcome."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from dgmbench.controls.outcomes import Interval, curve_of, judge, mean_interval


def test_one_repetition_gives_the_t_interval_of_the_points() -> None:
    values = torch.randn(1, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 2
    found = mean_interval(values)
    flat = values[0].numpy()
    expected = stats.t.interval(0.95, 29, flat.mean(), stats.sem(flat))
    assert (found.low, found.high) == pytest.approx(expected)


def test_repetitions_and_points_add_in_quadrature() -> None:
    values = torch.randn(4, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = mean_interval(values)
    halves = [
        stats.t.ppf(0.975, len(means) - 1) * stats.sem(means)
        for means in (values.mean(0).numpy(), values.mean(1).numpy())
    ]
    assert found.half == pytest.approx(np.hypot(*halves))
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
