"""Rank correlations against known values, exact p-values against counts by hand, gaps for small n."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from dgmbench.reporting.relations.ranks import over_models, over_seeds, spearman


def test_the_correlation_is_scipy_s_with_and_without_ties() -> None:
    rng = np.random.default_rng(3)
    for values in (rng.normal(size=(2, 9)), rng.integers(0, 4, (2, 9)).astype(float)):
        assert spearman(*values) == pytest.approx(spearmanr(*values).statistic, abs=1e-12)


def test_one_order_gives_one_and_its_p_counts_both_extremes() -> None:
    found = over_models([1, 2, 3, 4, 5], [10, 20, 30, 40, 50])
    assert found is not None and found.rho == pytest.approx(1)
    assert found.p == pytest.approx(2 / 120)
    assert (found.low, found.high) == (None, None)
    turned = over_models([1, 2, 3, 4, 5], [50, 40, 30, 20, 10])
    assert turned is not None and turned.rho == pytest.approx(-1) and turned.p == found.p


def test_a_monotonous_change_of_scale_changes_nothing() -> None:
    values = [0.3, 2.0, -1.0, 5.0, 0.9, 7.0]
    others = [1.0, 3.0, 0.0, 2.0, 9.0, 4.0]
    assert over_models(values, others) == over_models(list(np.exp(values)), others)


def test_the_exact_p_is_near_student_s_where_both_are_known() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=8)
    second = first + rng.normal(size=8)
    found = over_models(list(first), list(second))
    assert found is not None
    assert found.p == pytest.approx(float(spearmanr(first, second).pvalue), abs=0.03)


def test_with_ten_models_there_is_an_interval_around_rho() -> None:
    rng = np.random.default_rng(1)
    first = rng.normal(size=12)
    found = over_models(list(first), list(first + 0.5 * rng.normal(size=12)))
    assert found is not None and found.low is not None and found.high is not None
    assert -1 < found.low < found.rho < found.high < 1


@pytest.mark.parametrize("n", [0, 1, 4])
def test_too_few_models_leave_a_gap(n: int) -> None:
    assert over_models(list(range(n)), list(range(n))) is None


def test_values_all_alike_leave_a_gap() -> None:
    assert over_models([1.0] * 6, list(range(6))) is None


def test_seeds_count_within_models_and_not_between() -> None:
    # Within each model the scores run against each other; between models they run together.
    groups = [([base, base + 1, base + 2], [base + 2, base + 1, base]) for base in (0, 10, 20, 30)]
    found = over_seeds(groups)
    assert found is not None and found.rho == pytest.approx(-1)
    # Of 6 orders of three seeds one is -1 and one +1: all four models alike.
    assert found.p == pytest.approx(2 * (1 / 6) ** 4)
    assert (found.n, found.groups) == (12, 4)


def test_seeds_of_one_model_of_three_are_too_few() -> None:
    assert over_seeds([([1, 2, 3], [1, 2, 3])]) is None
    assert over_seeds([]) is None
    assert over_seeds([([1], [1])] * 9) is None


def test_seeds_without_relation_have_a_large_p() -> None:
    groups = [([1, 2, 3], [1, 2, 3]), ([1, 2, 3], [3, 2, 1])] * 2
    found = over_seeds(groups)
    assert found is not None and found.rho == pytest.approx(0) and found.p == pytest.approx(1)


def test_what_is_not_finite_has_no_rank() -> None:
    first, second = [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]
    for strange in (math.nan, math.inf, -math.inf):
        assert over_models([*first, strange], [*second, 0.0]) == over_models(first, second)
        assert over_models([*first[:4], strange], second) is None
    groups = [([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])] * 3
    strange_group = ([1.0, math.nan, 3.0, 2.0], [1.0, 9.0, 3.0, 2.0])
    assert over_seeds([*groups, strange_group]) == over_seeds([*groups, groups[0]])


def test_whether_an_order_can_be_rare_is_judged_by_the_most_extreme_of_either_sign() -> None:
    # Of three orders of tied values one is -1 and two are +0.5, which is not rare.
    found = over_seeds([([1, 1, 2], [2, 2, 1])] * 4)
    assert found is not None and found.rho == pytest.approx(-1) and found.p == pytest.approx((1 / 3) ** 4)
