"""Precision, recall, density and coverage against loops, closed forms, torch-fidelity and prdc."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dgmbench.evaluation.quality import prdc as module
from dgmbench.evaluation.quality.prdc import Fidelity, fidelity, fidelity_errors

NAMES = ("precision", "recall", "density", "coverage")


def draws(n: int, width: int, seed: int) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def four(found: Fidelity) -> list[float]:
    return [getattr(found, name) for name in NAMES]


def brute_force(generated: Tensor, real: Tensor, k: int) -> list[float]:
    fake, true = generated.double().numpy(), real.double().numpy()

    def radius(points: np.ndarray, i: int) -> float:
        others = [float(np.linalg.norm(points[i] - p)) for j, p in enumerate(points) if j != i]
        return sorted(others)[k - 1]

    r_true = [radius(true, i) for i in range(len(true))]
    r_fake = [radius(fake, i) for i in range(len(fake))]
    d = np.array([[float(np.linalg.norm(f - t)) for t in true] for f in fake])
    return [
        float(np.mean([any(d[i, j] <= r_true[j] for j in range(len(true))) for i in range(len(fake))])),
        float(np.mean([any(d[i, j] <= r_fake[i] for i in range(len(fake))) for j in range(len(true))])),
        float(np.mean([sum(d[i, j] < r_true[j] for j in range(len(true))) / k for i in range(len(fake))])),
        float(np.mean([any(d[i, j] < r_true[j] for i in range(len(fake))) for j in range(len(true))])),
    ]


@pytest.mark.parametrize("k", [1, 3])
def test_all_four_are_their_definitions(k: int) -> None:
    real, generated = draws(30, 3, 0), 0.8 * draws(25, 3, 1) + 0.9
    expected = brute_force(generated, real, k)
    assert four(fidelity(generated, real, k)) == pytest.approx(expected, abs=1e-12)
    assert len({0.0, 1.0} & set(expected)) == 0  # nothing is trivially all or none


def test_ties_and_copies_count_as_the_definitions_say() -> None:
    """Points on a grid, far from the origin: distances tie exactly, and rounding must not part them."""
    axis = torch.arange(4.0)
    grid = torch.cartesian_prod(axis, axis) + 1000.3
    generated = torch.cat([grid[::2], grid[:4], grid[5:6].repeat(5, 1)])
    for k in (1, 2, 4):
        expected = brute_force(generated.round() - 1000, grid.round() - 1000, k)
        assert four(fidelity(generated, grid, k)) == pytest.approx(expected, abs=1e-12)


def test_a_set_against_itself_is_perfect() -> None:
    real = draws(200, 8, 0)
    found = fidelity(real.flip(0), real, 5)
    assert four(found) == pytest.approx([1.0, 1.0, 1.0, 1.0], abs=1e-12)


def test_two_samples_of_one_gaussian_in_1000_dimensions_have_the_expected_density_and_coverage() -> None:
    """Density 1, coverage 1 - prod (N - i)/(M + N - i): free of the distribution (Naeem et al., eq. 5-8)."""
    n, k = 400, 5
    found = [fidelity(draws(n, 1000, s), draws(n, 1000, 99 + s), k) for s in range(4)]
    coverage = 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))
    assert np.mean([each.coverage for each in found]) == pytest.approx(coverage, abs=0.015)
    assert np.mean([each.density for each in found]) == pytest.approx(1.0, abs=0.15)


# (precision, recall, density, coverage) that prdc 0.2 gives for these two samples with k = 5.
OF_PRDC = (0.71, 0.6725, 1.1235, 0.9825)


def test_two_fixed_samples_have_the_numbers_that_prdc_gives() -> None:
    rng = np.random.default_rng(0)
    real, generated = (torch.from_numpy(rng.standard_normal((400, 1000))) for _ in range(2))
    assert four(fidelity(generated, real, 5)) == pytest.approx(OF_PRDC, abs=1e-12)


def test_two_fixed_samples_have_the_precision_and_recall_that_torch_fidelity_gives() -> None:
    """torch-fidelity 0.4.0 with k = 5; it need not be installed."""
    rng = np.random.default_rng(0)
    real, generated = (torch.from_numpy(rng.standard_normal((400, 50))) for _ in range(2))
    generated = 0.8 * generated + 0.1
    found = fidelity(generated.float(), real.float(), 5)
    assert (found.precision, found.recall) == pytest.approx((0.9925, 0.1425), abs=1e-6)


def test_two_samples_of_10000_have_the_numbers_in_the_readme_of_prdc() -> None:
    """Precision .477, recall .471, density 1.056 and coverage .974 of one draw, d = 1000 and k = 5.

    A dozen seconds. Density varies most from draw to draw: few features lie in very many balls.
    """
    found = fidelity(draws(10_000, 1000, 0), draws(10_000, 1000, 1), 5)
    assert four(found)[:2] == pytest.approx([0.477, 0.471], abs=0.02)
    assert found.density == pytest.approx(1.056, abs=0.15)
    assert found.coverage == pytest.approx(0.974, abs=0.01)


def test_dropped_modes_cost_recall_and_junk_costs_precision() -> None:
    modes = torch.tensor([0.0, 100.0]).repeat_interleave(100)[:, None] + draws(200, 2, 0)
    dropped = fidelity(draws(200, 2, 1), modes)
    assert dropped.recall < 0.6 and dropped.coverage < 0.6 and dropped.precision > 0.85
    junk = fidelity(torch.cat([modes + 0.01, 1000 + draws(200, 2, 2)]), modes)
    assert junk.precision == pytest.approx(0.5) and junk.density < 0.7 and junk.coverage == 1.0


def test_blocks_and_order_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generated, real = draws(60, 3, 0), draws(50, 3, 1)
    whole = four(fidelity(generated, real))
    monkeypatch.setattr(module, "BLOCK_VALUES", 70)
    assert four(fidelity(generated.flip(0), real.flip(0))) == whole


def test_precision_and_recall_are_torch_fidelitys() -> None:
    reason = "torch-fidelity is not installed (uv sync --group compare)"
    theirs = pytest.importorskip("torch_fidelity.metric_prc", reason=reason)
    generated, real = 0.8 * draws(300, 10, 0).double(), draws(250, 10, 1).double()
    out = theirs.prc_features_to_metric(generated, real, prc_neighborhood=3, verbose=False)
    found = fidelity(generated, real, 3)
    assert found.precision == pytest.approx(out["precision"], rel=1e-6)
    assert found.recall == pytest.approx(out["recall"], rel=1e-6)
    assert 0 < found.recall < found.precision < 1


def test_density_and_coverage_are_prdcs() -> None:
    theirs = pytest.importorskip("prdc", reason="prdc is not installed (uv sync --group compare)")
    generated, real = 0.8 * draws(300, 10, 0).double(), draws(250, 10, 1).double()
    out = theirs.compute_prdc(real.numpy(), generated.numpy(), nearest_k=5)
    assert four(fidelity(generated, real, 5)) == pytest.approx([float(out[name]) for name in NAMES], rel=1e-9)


def test_unfit_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="n > k = 5"):
        fidelity(draws(5, 4, 0), draws(9, 4, 0))
    with pytest.raises(ValueError, match="NaN"):
        fidelity(draws(9, 4, 0), torch.full((9, 4), torch.nan))
    with pytest.raises(ValueError, match="4 and 3 values wide"):
        fidelity(draws(9, 4, 0), draws(9, 3, 0))


@pytest.mark.parametrize("scale", [0.9, 1.1])
def test_the_errors_are_the_spread_over_independent_sets(scale: float) -> None:
    """Over both sets, and over real images with the generated ones given: the balls are images too."""
    n, width, repeats = 120, 12, 80
    sets = [(scale * draws(n, width, s), draws(n, width, 999 + s)) for s in range(repeats)]
    own = [fidelity(*pair) for pair in sets]
    found = [fidelity_errors(*sets[s], own[s], 5, s) for s in range(6)]
    both = np.std([four(each) for each in own], axis=0, ddof=1)
    given = [[four(fidelity(x, y)) for _, y in sets] for x, _ in sets[:2]]
    over_real = np.sqrt(np.mean(np.var(given, axis=1, ddof=1), axis=0))
    for place, name in enumerate(NAMES):
        error = np.sqrt(np.mean([each.std_errors[name] ** 2 for each in found]))
        assert 0.7 * both[place] - 0.002 < error < 1.6 * both[place] + 0.002, name
        if name == "recall":
            squares = [each.recalled.var(ddof=1) / n for each in own]
        else:
            squares = [each.by_resample[name].var(ddof=1) / 48 for each in found]
        assert np.sqrt(np.mean(squares)) == pytest.approx(over_real[place], rel=0.4, abs=0.002), name


def test_halves_of_the_real_images_are_the_same_for_all_models() -> None:
    """So that what they contribute to two models' scores cancels in a difference."""
    real, mine, theirs = draws(200, 8, 0), draws(200, 8, 1), draws(200, 8, 2)
    first, second = (fidelity_errors(x, real, fidelity(x, real), 5, 7).by_resample for x in (mine, theirs))
    assert np.corrcoef(first["density"], second["density"])[0, 1] > 0.5
    again = fidelity_errors(mine, real, fidelity(mine, real), 5, 7).by_resample
    np.testing.assert_array_equal(first["density"], again["density"])
    assert first["density"].mean() == pytest.approx(fidelity(mine, real).density)
    with pytest.raises(ValueError, match="no 5 neighbours"):
        fidelity_errors(draws(11, 4, 0), draws(11, 4, 1), fidelity(draws(11, 4, 0), draws(11, 4, 1)), 5, 0)
