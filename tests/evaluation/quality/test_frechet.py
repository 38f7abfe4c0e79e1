"""Fréchet distance against the closed forms of Gaussians that commute."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from dgmbench.evaluation.quality import frechet
from dgmbench.evaluation.quality.frechet import fid, fid_errors, frechet_distance, gaussian_statistics


def draws(n: int, width: int, seed: int) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def rotation(width: int) -> Tensor:
    return torch.linalg.qr(draws(width, width, 9).double())[0]


def closed_form(mean1: Tensor, var1: Tensor, mean2: Tensor, var2: Tensor) -> float:
    return float((mean1 - mean2).square().sum() + (var1.sqrt() - var2.sqrt()).square().sum())


@pytest.mark.parametrize("rank", [6, 3])
@pytest.mark.parametrize("rotated", [False, True])
def test_commuting_gaussians_have_a_closed_form(rank: int, rotated: bool) -> None:
    mean1, mean2 = draws(2, 6, 0).double()
    var1, var2 = draws(2, 6, 1).double().square() + 0.1
    var1[rank:], var2[6 - rank :] = 0.0, 0.0
    basis = rotation(6) if rotated else torch.eye(6, dtype=torch.float64)
    cov1, cov2 = basis @ var1.diag() @ basis.T, basis @ var2.diag() @ basis.T
    expected = closed_form(mean1, var1, mean2, var2)
    assert frechet_distance(mean1, cov1, mean2, cov2) == pytest.approx(expected, rel=1e-10)


def test_covariances_that_do_not_commute() -> None:
    root1, root2 = draws(5, 5, 2).double(), draws(5, 5, 3).double()
    cov1, cov2 = root1 @ root1.T, root2 @ root2.T
    cross = torch.linalg.eigvals(cov1 @ cov2).sqrt().real.sum()
    zero = torch.zeros(5, dtype=torch.float64)
    expected = float(cov1.trace() + cov2.trace() - 2 * cross)
    assert frechet_distance(zero, cov1, zero, cov2) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(zero, cov2, zero, cov1) == pytest.approx(expected, rel=1e-8)


def test_a_set_is_at_distance_zero_from_itself_whatever_its_rank() -> None:
    features = draws(500, 20, 0)
    assert fid(features, features) == pytest.approx(0.0, abs=1e-10)
    flat = features[:, :4] @ draws(4, 20, 1)
    assert fid(flat, flat) == pytest.approx(0.0, abs=1e-10)
    assert fid(torch.zeros(500, 20), torch.zeros(500, 20)) == 0.0


def test_a_shift_costs_its_squared_length() -> None:
    features = draws(500, 8, 0).double()
    assert fid(features, features + 3.0) == pytest.approx(8 * 9.0, rel=1e-10)


@pytest.mark.filterwarnings("ignore:.*rank-deficient")
def test_fewer_rows_than_features_give_the_distance_of_their_covariances() -> None:
    features, others = draws(20, 30, 0), 1 + 2 * draws(25, 30, 1)
    expected = frechet_distance(*gaussian_statistics(features), *gaussian_statistics(others))
    assert fid(features, others) == pytest.approx(expected, rel=1e-9)
    assert fid(features, features) == pytest.approx(0.0, abs=1e-10)


def test_the_distance_is_torch_fidelitys() -> None:
    reason = "torch-fidelity is not installed (uv sync --group compare)"
    theirs = pytest.importorskip("torch_fidelity.metric_fid", reason=reason)
    features, others = draws(300, 16, 0), 0.3 + draws(400, 16, 1) @ draws(16, 16, 2)
    sets = (theirs.fid_features_to_statistics(part) for part in (features, others))
    expected = theirs.fid_statistics_to_metric(*sets, verbose=False)["frechet_inception_distance"]
    assert fid(features, others) == pytest.approx(expected, rel=1e-4)


def test_two_fixed_samples_have_the_distance_that_torch_fidelity_gives() -> None:
    """torch-fidelity 0.4.0; it need not be installed."""
    rng = np.random.default_rng(0)
    real, generated = (torch.from_numpy(rng.standard_normal((400, 50))) for _ in range(2))
    generated = 0.8 * generated + 0.1
    assert fid(generated, real) == pytest.approx(5.28262807770804, rel=1e-9)


def test_the_order_of_rows_does_not_matter_and_less_alike_is_further() -> None:
    features = draws(500, 8, 0)
    distances = [fid(features.flip(0), features + noise * draws(500, 8, 1)) for noise in (0.1, 0.5, 2.0)]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_statistics_are_those_of_numpy() -> None:
    features = draws(100, 7, 0).double()
    mean, covariance = gaussian_statistics(features)
    np.testing.assert_allclose(mean, features.numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(features.numpy().T), rtol=1e-12)
    assert covariance.dtype == torch.float64


def test_too_few_samples_warn_and_enough_do_not() -> None:
    with pytest.warns(UserWarning, match="rank-deficient"):
        gaussian_statistics(draws(8, 8, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gaussian_statistics(draws(9, 8, 0))


@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(("n", "width"), [(400, 4), (150, 24), (30, 48)])
def test_the_errors_are_the_spread_over_independent_sets(n: int, width: int, shift: float) -> None:
    """At a distance of 0, where a bootstrap's error is 1.7 times too large, and far from it; at few rows."""
    pairs = [(draws(2 * n, width, seed), shift + draws(n, width, 1000 + seed)) for seed in range(80)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        repeats = [fid(*pair) for pair in pairs]
        others = [[fid(mine, theirs) for _, theirs in pairs] for mine, _ in pairs[:2]]
        found = [fid_errors(*pair, 20, np.random.default_rng(seed)) for seed, pair in enumerate(pairs[:8])]
    both = math.sqrt(np.mean([each.std_error**2 for each in found]))
    assert both == pytest.approx(np.std(repeats, ddof=1), rel=0.3)
    over_real = math.sqrt(np.mean([each.over_real**2 for each in found]))
    assert over_real == pytest.approx(math.sqrt(np.mean(np.var(others, axis=1, ddof=1))), rel=0.3)
    assert found[0].by_image.mean() == pytest.approx(repeats[0], abs=1e-9)
    assert found[0].by_image.shape == (n,)


def test_the_influence_of_a_row_is_what_more_weight_on_it_changes() -> None:
    """In both forms, by features and by rows."""
    for n, width in ((60, 5), (12, 30)):
        sets = [draws(n, width, 0).double(), 0.5 + draws(n, width, 1).double()]
        slopes = frechet._influences(sets)
        step = 1e-5
        for side in range(2):
            moved = []
            for sign in (1.0, -1.0):
                weights = [torch.ones(n, dtype=torch.float64) for _ in sets]
                weights[side] -= sign * step / n
                weights[side][3] += sign * step
                moved.append(frechet._weighted_fid(sets, weights))
            assert float(slopes[side][3]) / n == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=1e-4)


def test_the_errors_repeat_for_the_same_generator() -> None:
    first, again = (fid_errors(draws(50, 4, 0), draws(50, 4, 1), 5, np.random.default_rng(3)) for _ in "ab")
    assert first.std_error == again.std_error > first.over_real > 0


def test_unfit_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="n >= 2"):
        fid(draws(1, 4, 0), draws(9, 4, 0))
    with pytest.raises(ValueError, match="NaN"):
        fid(torch.full((9, 4), torch.nan), draws(9, 4, 0))
    with pytest.raises(ValueError, match="one dimension"):
        fid(draws(9, 4, 0), draws(9, 3, 0))
    with pytest.raises(ValueError, match="draws"):
        fid_errors(draws(9, 4, 0), draws(9, 4, 0), 1, np.random.default_rng(0))
