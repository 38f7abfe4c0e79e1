"""Intervals over seeds against the textbook's t table."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from dgmbench.evaluation.statistics import binomial_std_error, mean_and_interval


def test_three_seeds_use_the_t_quantile_of_two_degrees_of_freedom() -> None:
    mean, half = mean_and_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_the_level_widens_the_interval() -> None:
    assert mean_and_interval([1.0, 2.0, 3.0], level=0.9)[1] == pytest.approx(
        2.919986 / math.sqrt(3), rel=1e-6
    )


def test_one_seed_has_no_interval() -> None:
    assert mean_and_interval([4.0]) == (4.0, None)


def test_equal_values_have_an_interval_of_zero() -> None:
    assert mean_and_interval([0.1] * 5) == (pytest.approx(0.1), pytest.approx(0.0, abs=1e-15))


def test_no_values_and_impossible_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mean_and_interval([])
    with pytest.raises(ValueError, match="level"):
        mean_and_interval([1.0, 2.0], level=1.0)


def test_binomial_error_of_an_accuracy() -> None:
    assert binomial_std_error(90.0, 100) == pytest.approx(3.0)
    assert binomial_std_error(100.0, 100) == 0.0


def test_statistics_load_without_torch() -> None:
    code = "import sys, dgmbench.evaluation.statistics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
