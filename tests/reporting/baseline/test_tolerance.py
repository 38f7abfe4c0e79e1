"""The tolerance: as many false alarms as it says, shifts of the size that it says are found, and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dgmbench.metrics import Allowance, Size
from dgmbench.reporting.baseline.tolerance import FALSE_ALARMS, level_of, tolerance

KIND = Allowance(Size(0.0, 1.0), rounding=Size(0.0, 0.01), classifier=Size(0.0, 0.5))


SEEDS_ALONE = Allowance(KIND.seeds)


def summary(values: Any) -> dict[str, Any]:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "n": len(values)}


def alarms(
    rng: np.random.Generator, runs: int, level: float, *, sd: float, classifier: float, shift: float = 0.0,
    seeds: tuple[int, int] = (3, 3), allowed: Allowance = KIND,
) -> float:  # fmt: skip
    """Share of comparisons in which the second side, lower by `shift`, is called worse."""
    count = 0
    for _ in range(runs):
        # A classifier on either side, whose chance all seeds share.
        sides = [20 + classifier * rng.normal() + sd * rng.normal(size=n) for n in seeds]
        before, now = summary(sides[0]), summary(sides[1] - shift)
        count += before["mean"] - now["mean"] > tolerance(allowed, before, now, level)[0]
    return count / runs


@pytest.mark.parametrize("seeds", [(3, 3), (8, 3), (1, 1), (2, 5)])
@pytest.mark.parametrize(("sd", "classifier"), [(1.0, 0.0), (1.0, 0.5), (0.1, 0.5), (0.3, 0.0)])
def test_false_alarms_are_no_more_than_promised(sd: float, classifier: float, seeds: tuple[int, int]) -> None:
    level, runs = 0.01, 4000
    found = alarms(np.random.default_rng(0), runs, level, sd=sd, classifier=classifier, seeds=seeds)
    assert found <= 2 * level + 3 * math.sqrt(2 * level / runs)


def test_the_bound_of_the_metric_is_not_slack() -> None:
    found = alarms(np.random.default_rng(0), 4000, 0.02, sd=1.0, classifier=0.0, allowed=SEEDS_ALONE)
    assert found > 0.01


@pytest.mark.parametrize(("relative", "worse"), [(0.17, 1.0), (0.35, 1.0), (0.17, -1.0), (0.01, -1.0)])
def test_false_alarms_of_a_share_of_the_value_are_no_more_than_promised(
    relative: float, worse: float
) -> None:
    """Where spread grows with the value, a baseline that came out low must not be held to a small one."""
    allowed = Allowance(Size(), classifier=Size(relative))
    rng, level, runs, count = np.random.default_rng(0), 0.01, 4000, 0
    for _ in range(runs):
        first, second = 20 * np.exp(relative * rng.normal(size=2))
        before, now = summary([first] * 2), summary([second] * 2)
        count += worse * (second - first) > tolerance(allowed, before, now, level)[0]
    assert 0.3 * level < count / runs <= level + 3 * math.sqrt(level / runs)


def test_standard_deviations_compound_where_they_are_a_share_of_the_value() -> None:
    assert Size(0.1).reach(20.0, 2.0, growing=True) == pytest.approx(20 * (math.exp(0.2) - 1))
    assert Size(0.1).reach(-20.0, 2.0, growing=False) == pytest.approx(20 * (1 - math.exp(-0.2)))
    assert Size(0.0, 3.0).reach(20.0, 2.0, growing=True) == 6.0
    assert Size(1e-9, 3.0).reach(20.0, 2.0, growing=True) == pytest.approx(6.0)


def test_a_whole_check_fails_without_cause_once_in_a_hundred() -> None:
    rng, numbers, checks = np.random.default_rng(0), 40, 200
    share = alarms(rng, numbers * checks, level_of(numbers), sd=1.0, classifier=0.5)
    # Expected at most FALSE_ALARMS times 200 checks; the 99.9 % quantile of that Poisson distribution is 8.
    assert share * numbers * checks <= 8


def test_the_level_is_shared_among_comparisons_and_bounds() -> None:
    assert level_of(400) * 400 * 2 == pytest.approx(FALSE_ALARMS)


@pytest.mark.parametrize(
    ("sd", "seeds", "shift"), [(1.0, (3, 3), 3.45), (0.1, (3, 3), 1.8), (0.1, (8, 3), 0.55)]
)
def test_a_shift_of_the_stated_size_is_found_half_of_the_time(
    sd: float, seeds: tuple[int, int], shift: float
) -> None:
    rng = np.random.default_rng(0)
    found = alarms(
        rng, 1000, level_of(400), sd=sd, classifier=0.0, shift=shift, seeds=seeds, allowed=SEEDS_ALONE
    )
    assert found == pytest.approx(0.5, abs=0.15)


def test_by_hand() -> None:
    before, now = summary([19.0, 20.0, 21.0]), summary([19.0, 20.0, 21.0])
    # Pooled sd 1, t(0.99, 4) = 3.7469; the metric's is z(0.99) = 2.3263, and so is the classifier's.
    metric, classifier = 2.3263 * math.sqrt(2 / 3), 2.3263 * math.sqrt(2) * 0.5
    assert tolerance(KIND, before, now, 0.01)[0] == pytest.approx(
        0.01 + math.hypot(metric, classifier), rel=1e-4
    )
    tight = summary([19.9, 20.0, 20.1])
    own = 3.7469 * 0.1 * math.sqrt(2 / 3)
    assert tolerance(KIND, tight, tight, 0.01)[0] == pytest.approx(
        0.01 + math.hypot(own, classifier), rel=1e-4
    )


def test_a_control_that_was_carried_out_once_has_no_seeds() -> None:
    once = summary([20.0])
    trained, control = (tolerance(KIND, once, once, 0.01, trained=flag)[0] for flag in (True, False))
    assert control == pytest.approx(0.01 + 2.3263 * math.sqrt(2) * 0.5, rel=1e-4) and trained > 2 * control
