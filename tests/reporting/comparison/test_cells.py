"""How numbers are written."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fabricate import frame_of, row

from dgmbench.reporting.comparison.cells import Cell, number, summarised
from dgmbench.reporting.comparison.short import factor, short, short_half
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


def timing(*values: float) -> Cell:
    rows = [row("m", seed, "sampling_rate", value, unit="images_per_second", std_error=None)
            for seed, value in enumerate(values)]  # fmt: skip
    return summarised(frame_of(*rows))


def test_the_interval_of_a_timing_is_a_factor() -> None:
    # Logarithms 1, 2 and 3: Student's t of 4.303 times 1 / sqrt(3).
    cell = timing(math.e, math.e**2, math.e**3)
    assert factor(cell) == pytest.approx(math.exp(4.302653 / math.sqrt(3)), rel=1e-6)
    assert short(cell) == "10 ×/÷ 12"
    assert short(timing(5e5, 5.1e5, 4.9e5)).endswith("×/÷ 1.06")


@pytest.mark.parametrize(
    ("values", "shown"),
    [((10.0,), ""), ((0.0, 1.0, 2.0), ""), ((1.0, 1e6), "×/÷ >100"), ((3.0, 3.0), "×/÷ 1")],
)
def test_a_factor_that_is_not_known_or_needs_no_digits(values: tuple[float, ...], shown: str) -> None:
    assert short_half(timing(*values)) == shown
