from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.models.baselines.gaussian import Gaussian, GaussianSettings

CANDIDATES = [1e-6, 0.02, 0.2, 0.6, 1.0]


def correlated(n: int, d: int, seed: int = 0) -> Tensor:
    """Images ``[n, 1, 1, d]`` in float64 of correlated pixels with different spreads."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    x = 0.5 + torch.randn(n, d, generator=generator, dtype=torch.float64) @ mixing * 0.1
    return (x * torch.linspace(0.1, 1, d)).reshape(n, 1, 1, d)


def make(shrinkages: list[float], d: int, levels: int = 256) -> Gaussian:
    block = {"family": "gaussian", "view": "gray", "shrinkages": shrinkages}
    return Gaussian(GaussianSettings.model_validate(block), image_schema((1, 1, d), levels))


def fitted(shrinkages: list[float], n: int = 40, d: int = 6) -> tuple[Gaussian, dict[str, float]]:
    model = make(shrinkages, d)
    return model, model.fit(Batch(correlated(n, d)), Batch(correlated(300, d, 1)), torch.Generator())


@pytest.mark.parametrize("shrinkage", [1e-6, 0.2, 1.0])
def test_log_prob_is_scipy_s_for_the_shrunk_covariance(shrinkage: float) -> None:
    model, _ = fitted([shrinkage])
    data = correlated(40, 6).flatten(1).numpy()
    sample = np.cov(data, rowvar=False, bias=True)
    shrunk = (1 - shrinkage) * sample + shrinkage * np.diag(np.diag(sample))
    np.testing.assert_allclose(model.covariance().numpy(), shrunk, rtol=1e-9, atol=1e-12)
    x = correlated(20, 6, 2)
    reference = stats.multivariate_normal(data.mean(0), shrunk).logpdf(x.flatten(1).numpy())
    np.testing.assert_allclose(model.log_prob(x).numpy(), reference, rtol=1e-9)


def test_full_shrinkage_is_a_product_of_gaussians() -> None:
    model, _ = fitted([1.0])
    data, x = correlated(40, 6).flatten(1).numpy(), correlated(20, 6, 2)
    reference = stats.norm(data.mean(0), data.std(0)).logpdf(x.flatten(1).numpy()).sum(1)
    np.testing.assert_allclose(model.log_prob(x).numpy(), reference, rtol=1e-9)


def test_the_density_of_two_pixels_integrates_to_one() -> None:
    model, _ = fitted([0.02], d=2)
    axes = [torch.linspace(-10, 10, 501, dtype=torch.float64) * s + m
            for m, s in zip(model.mean, model.deviations, strict=True)]  # fmt: skip
    grid = torch.cartesian_prod(*axes).reshape(-1, 1, 1, 2)
    cell = math.prod(float(axis[1] - axis[0]) for axis in axes)
    assert math.isclose(float(model.log_prob(grid).exp().sum()) * cell, 1.0, rel_tol=1e-9)


def test_validation_chooses_the_shrinkage_with_the_least_loss() -> None:
    model, losses = fitted(CANDIDATES, n=12)
    alone = {a: fitted([a], n=12)[1]["loss"] for a in CANDIDATES}
    best = min(alone, key=lambda a: alone[a])
    assert losses == {"loss": alone[best], "shrinkage": best}
    assert best not in (min(CANDIDATES), max(CANDIDATES))
    assert losses["loss"] == -float(model.log_prob(correlated(300, 6, 1)).mean())


def test_fewer_images_than_pixels_still_give_a_density() -> None:
    model, losses = fitted([0.1], n=5, d=20)
    assert math.isfinite(losses["loss"])
    assert bool(torch.isfinite(model.log_prob(correlated(10, 20, 3))).all())


def test_a_constant_pixel_has_the_variance_of_dequantisation_noise() -> None:
    model = make([1.0], 2, levels=17)
    x = correlated(30, 2)
    x[..., 0] = 0.25
    model.fit(Batch(x), Batch(x), torch.Generator())
    assert math.isclose(float(model.covariance()[0, 0]), 1 / (12 * 17**2), rel_tol=1e-12)


def test_samples_have_the_model_s_mean_and_covariance() -> None:
    model, _ = fitted([0.02])
    draws = model.sample(200_000, torch.Generator().manual_seed(0))
    assert draws.shape == (200_000, 1, 1, 6)
    scale = model.deviations
    torch.testing.assert_close(draws.flatten(1).mean(0) / scale, model.mean / scale, atol=0.01, rtol=0)
    correlation = model.covariance() / scale / scale[:, None]
    torch.testing.assert_close((draws.flatten(1) / scale).T.cov(), correlation, atol=0.015, rtol=0)


def test_fitting_leaves_its_inputs_alone() -> None:
    train = correlated(40, 6)
    make([0.1], 6).fit(Batch(train), Batch(train), torch.Generator())
    assert torch.equal(train, correlated(40, 6))


def test_state_survives_a_round_trip_and_parameters_are_counted() -> None:
    model, _ = fitted(CANDIDATES)
    copy = make(CANDIDATES, 6)
    copy.load_state_dict(model.state_dict())
    x = correlated(20, 6, 2)
    assert torch.equal(copy.log_prob(x), model.log_prob(x))
    assert model.parameter_count() == 6 + 21


@pytest.mark.parametrize("shrinkages", [[], [0.0], [1.5]])
def test_shrinkages_that_cannot_work_are_refused(shrinkages: list[float]) -> None:
    with pytest.raises(ValueError, match="shrinkages"):
        make(shrinkages, 4)


def test_settings_are_checked_without_memory_for_the_state() -> None:
    with torch.device("meta"):
        model = make([0.1], 784)
    assert all(buffer.is_meta for buffer in model.buffers())
