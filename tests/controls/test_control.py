"""Parts of a finding."""

from __future__ import annotations

from dgmbench.controls.control import Curve
from dgmbench.statistics import Interval


def test_a_curve_takes_its_band_from_the_intervals() -> None:
    curve = Curve.of("a", [1.0, 2.0], [Interval(3.0, 1.0), Interval(5.0, 0.5)])
    assert (curve.y, curve.low, curve.high) == ([3.0, 5.0], [2.0, 4.5], [4.0, 5.5])
