"""Kernel distance against its double sum, its expectation, its spread, and torch-fidelity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from dgmbench.evaluation.quality import kernel_distance as module
from dgmbench.evaluation.quality.kernel_distance import kernel_distance, subset_kernel_distances


def draws(n: int, width: int, seed: int) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def brute_force(x: Tensor, y: Tensor) -> float:
    def mean(a: Tensor, b: Tensor, apart: bool) -> float:
        values = [
            (float(p @ q) / len(p) + 1) ** 3
            for i, p in enumerate(a.double())
            for j, q in enumerate(b.double())
            if not (apart and i == j)
        ]
        return float(np.mean(values))

    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)


def test_it_is_the_double_sum_over_pairs_that_differ() -> None:
    x, y = draws(9, 4, 0), 0.5 + draws(13, 4, 1)
    assert kernel_distance(x, y).value == pytest.approx(brute_force(x, y), rel=1e-12)
    assert kernel_distance(y, x).value == pytest.approx(brute_force(x, y), rel=1e-12)


def test_blocks_and_order_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = draws(50, 4, 0), 0.5 + draws(37, 4, 1)
    whole = kernel_distance(x, y)
    monkeypatch.setattr(module, "BLOCK_VALUES", 100)
    parts = kernel_distance(x.flip(0), y.flip(0))
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    assert parts.std_error == pytest.approx(whole.std_error, rel=1e-9)


def test_the_mean_over_samples_is_the_distance_of_the_distributions_and_the_error_their_spread() -> None:
    """x ~ N(0, 1), y ~ N(1, 1) in one dimension: E (ab + 1)^3 over moments 1, m, m^2 + 1, m^3 + 3m."""

    def expected(a: float, b: float) -> float:
        moments = [np.array([m, m * m + 1, m**3 + 3 * m]) for m in (a, b)]
        return float(1 + np.array([3, 3, 1]) @ (moments[0] * moments[1]))

    truth = expected(0, 0) + expected(1, 1) - 2 * expected(0, 1)
    found = [kernel_distance(draws(200, 1, s), 1 + draws(200, 1, 999 + s)) for s in range(300)]
    values = np.array([each.value for each in found])
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(len(values))
    assert np.sqrt(np.mean([each.std_error**2 for each in found])) == pytest.approx(values.std(), rel=0.15)


@pytest.mark.parametrize("shift", [0.0, 0.15, 1.0])
def test_the_errors_are_the_spread_over_independent_sets(shift: float) -> None:
    """Where the projection vanishes, and where it does not; over both sets, and over y with x given."""
    pairs = [(draws(120, 8, s), shift + draws(60, 8, 999 + s)) for s in range(250)]
    found = [kernel_distance(*pair) for pair in pairs]
    both = np.sqrt(np.mean([each.std_error**2 for each in found]))
    assert both == pytest.approx(np.std([each.value for each in found], ddof=1), rel=0.2)
    over_y = [[kernel_distance(x, y).value for _, y in pairs[50:150]] for x, _ in pairs[:4]]
    by_row = np.sqrt(np.mean([each.by_row.var(ddof=1) / 60 for each in found]))
    assert by_row == pytest.approx(np.sqrt(np.mean(np.var(over_y, axis=1, ddof=1))), rel=0.2)
    assert found[0].by_row.mean() == pytest.approx(found[0].value)


def test_without_a_difference_it_is_nought_on_average_and_of_either_sign() -> None:
    values = np.array([kernel_distance(draws(30, 5, s), draws(30, 5, 999 + s)).value for s in range(200)])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    assert values.min() < 0 < values.max()


def test_subsets_of_everything_are_the_whole_and_smaller_ones_scatter_around_it() -> None:
    x, y = draws(60, 4, 0), 0.5 + draws(60, 4, 1)
    whole = kernel_distance(x, y).value
    rng = np.random.default_rng(0)
    np.testing.assert_allclose(subset_kernel_distances(x, y, 3, 60, rng), whole, rtol=1e-10)
    parts = subset_kernel_distances(x, y, 400, 20, rng)
    assert parts.mean() == pytest.approx(whole, abs=4 * parts.std() / 20)
    assert parts.std() > 0


def test_subsets_are_torch_fidelitys() -> None:
    reason = "torch-fidelity is not installed (uv sync --group compare)"
    theirs = pytest.importorskip("torch_fidelity.metric_kid", reason=reason)
    x, y = draws(80, 6, 0).double(), 0.3 + draws(90, 6, 1).double()
    out = theirs.kid_features_to_metric(x, y, kid_subsets=7, kid_subset_size=50, rng_seed=3, verbose=False)
    ours = subset_kernel_distances(x, y, 7, 50, np.random.RandomState(3))
    assert ours.mean() == pytest.approx(out["kernel_inception_distance_mean"], rel=1e-9)
    assert ours.std() == pytest.approx(out["kernel_inception_distance_std"], rel=1e-9)


def test_two_fixed_samples_have_the_distance_that_torch_fidelity_gives() -> None:
    """torch-fidelity 0.4.0 with one subset of all 400 rows; it need not be installed."""
    rng = np.random.default_rng(0)
    real, generated = (torch.from_numpy(rng.standard_normal((400, 50))) for _ in range(2))
    generated = 0.8 * generated + 0.1
    assert kernel_distance(generated, real).value == pytest.approx(0.03744703098380642, rel=1e-9)


def test_unfit_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="n >= 2"):
        kernel_distance(draws(1, 4, 0), draws(9, 4, 0))
    with pytest.raises(ValueError, match="NaN"):
        kernel_distance(torch.full((9, 4), torch.nan), draws(9, 4, 0))
    with pytest.raises(ValueError, match="4 and 3 values wide"):
        kernel_distance(draws(9, 4, 0), draws(9, 3, 0))
    with pytest.raises(ValueError, match="10 rows of sets of 9 and 12"):
        subset_kernel_distances(draws(9, 4, 0), draws(12, 4, 0), 2, 10, np.random.default_rng(0))
