"""How numbers are written."""

from __future__ import annotations

import numpy as np
import pytest

from dgmbench.reporting.comparison.cells import number
from dgmbench.reporting.figures.canvas import spoken
from dgmbench.reporting.headlines import rounded


@pytest.mark.parametrize(
    ("value", "digits", "written"),
    [(-0.0004, 3, "0.000"), (-0.0, 2, "0.00"), (-0.4, 0, "0"), (-4.0, -1, "0"), (-0.0006, 3, "−0.001"),
     (-1234.5, 1, "−1,234.5"), (12_345.0, -2, "12,300")],
)  # fmt: skip
def test_what_rounds_to_zero_has_no_minus_sign(value: float, digits: int, written: str) -> None:
    assert number(value, digits) == written


def test_no_number_is_a_negative_zero() -> None:
    rng = np.random.default_rng(0)
    for value in [-0.0, *(rng.normal(size=500) * 10.0 ** rng.integers(-6, 3, 500))]:
        for digits in range(-2, 5):
            written = number(float(value), digits)
            assert not written.startswith("−") or written.strip("−0.,")
    assert spoken(-0.0) == "0" and str(rounded(-0.0)) == "0"
