from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.pixels import dequantise
from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.baselines import kde
from dgmbench.models.baselines.kde import KDE, KDESettings, bernoulli_kernel_log_probability
from dgmbench.training.checkpoints import load_tensors
from dgmbench.training.loading import build
from dgmbench.training.runs import write_weights

LEVELS = 17


def settings(view: str, low: float = -2.0, high: float = -0.4, widths: int = 9) -> KDESettings:
    block = {"family": "kde", "view": view, "log10_widths": (low, high), "widths": widths}
    return KDESettings.model_validate(block)


def levels_of(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand((n, 1, 2, 3), generator=generator) ** 2 * LEVELS).to(torch.uint8)


def images(view: str, n: int, seed: int) -> Tensor:
    if view == "binary":
        return (levels_of(n, seed) > 5).float()
    return dequantise(levels_of(n, seed), LEVELS, torch.Generator().manual_seed(seed))


def fitted(view: str, widths: KDESettings | None = None) -> tuple[KDE, dict[str, float]]:
    model = KDE(widths or settings(view), image_schema((1, 2, 3), LEVELS))
    losses = model.fit(Batch(images(view, 50, 0)), Batch(images(view, 80, 1)), torch.Generator())
    return model, losses


def scikit(bandwidth: float, x: Tensor) -> np.ndarray:
    """Log densities of scikit-learn's estimate with kernels at the levels' middles; one leaf: exact."""
    centres = (levels_of(50, 0).flatten(1).double() + 0.5) / LEVELS
    estimate = KernelDensity(bandwidth=bandwidth, leaf_size=50, rtol=0, atol=0).fit(centres.numpy())
    return estimate.score_samples(x.flatten(1).double().numpy())


def test_gray_densities_and_the_choice_of_bandwidth_are_those_of_scikit_learn() -> None:
    model, losses = fitted("gray")
    x, valid = images("gray", 30, 2), images("gray", 80, 1)
    np.testing.assert_allclose(model.log_prob(x).numpy(), scikit(losses["width"], x), rtol=1e-9)
    grid = settings("gray").grid()
    scores = [-scikit(width, valid).mean() for width in grid]
    assert losses["width"] == grid[int(np.argmin(scores))]
    assert math.isclose(losses["loss"], min(scores), rel_tol=1e-9)
    assert 0 < np.argmin(scores) < len(grid) - 1


def test_the_density_of_one_pixel_integrates_to_one() -> None:
    model = KDE(settings("gray", -1.5, -1.5, 1), image_schema((1, 1, 1), LEVELS))
    model.fit(
        Batch(images("gray", 20, 0)[:, :, :1, :1]),
        Batch(images("gray", 5, 1)[:, :, :1, :1]),
        torch.Generator(),
    )
    grid = torch.linspace(-1, 2, 6001, dtype=torch.float64).reshape(-1, 1, 1, 1)
    total = float(model.log_prob(grid).exp().sum()) * 3 / 6000
    assert math.isclose(total, 1.0, rel_tol=1e-9)


def test_probabilities_of_all_binary_images_sum_to_one() -> None:
    model, _ = fitted("binary")
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6))).reshape(-1, 1, 2, 3)
    assert math.isclose(float(model.log_prob(x).exp().sum()), 1.0, rel_tol=1e-12)


@pytest.mark.parametrize("blocks", [(512, 4096), (3, 7)])
def test_binary_kernels_are_products_of_bernoullis(
    monkeypatch: pytest.MonkeyPatch, blocks: tuple[int, int]
) -> None:
    monkeypatch.setattr(kde, "POINT_BLOCK", blocks[0])
    monkeypatch.setattr(kde, "CENTRE_BLOCK", blocks[1])
    centres, x = images("binary", 50, 0).flatten(1), images("binary", 20, 2).flatten(1)
    flips = [1e-6, 0.03, 0.4]
    ours = bernoulli_kernel_log_probability(centres.to(torch.uint8), x, flips)
    for column, flip in enumerate(flips):
        probabilities = centres.double() * (1 - 2 * flip) + flip
        kernels = torch.distributions.Bernoulli(probabilities).log_prob(x[:, None].double()).sum(-1)
        expected = torch.logsumexp(kernels, 1) - math.log(50)
        torch.testing.assert_close(ours[:, column], expected, rtol=1e-6, atol=1e-6)


def test_a_flip_probability_of_one_half_is_the_uniform_distribution() -> None:
    values = bernoulli_kernel_log_probability(torch.zeros(3, 9, dtype=torch.uint8), torch.eye(9), [0.5])
    torch.testing.assert_close(values, torch.full((9, 1), -9 * math.log(2), dtype=torch.float64))


def test_validation_chooses_the_flip_probability_with_the_least_loss() -> None:
    _, losses = fitted("binary")
    grid = settings("binary").grid()
    alone = [fitted("binary", settings("binary", math.log10(g), math.log10(g), 1))[1]["loss"] for g in grid]
    assert losses["width"] == grid[int(np.argmin(alone))]
    assert math.isclose(losses["loss"], min(alone), rel_tol=1e-12)


def test_gray_samples_are_training_images_with_the_kernel_s_noise() -> None:
    model, losses = fitted("gray")
    draws = model.sample(100_000, torch.Generator().manual_seed(0)).flatten(1)
    centres = (levels_of(50, 0).flatten(1).double() + 0.5) / LEVELS
    covariance = centres.T.cov(correction=0) + losses["width"] ** 2 * torch.eye(6)
    torch.testing.assert_close(draws.mean(0), centres.mean(0), atol=0.006, rtol=0)
    torch.testing.assert_close(draws.T.cov(), covariance, atol=0.004, rtol=0)


def test_binary_samples_follow_the_probabilities() -> None:
    model, _ = fitted("binary", settings("binary", -1, -1, 1))
    draws = model.sample(60_000, torch.Generator().manual_seed(0)).flatten(1).long()
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6)))
    codes = (draws * 2 ** torch.arange(5, -1, -1)).sum(1)
    observed = torch.bincount(codes, minlength=64) / len(codes)
    expected = model.log_prob(x.reshape(-1, 1, 2, 3)).exp()
    errors = (expected * (1 - expected) / len(codes)).sqrt()
    assert bool(((observed - expected).abs() < 4.5 * errors).all())


@pytest.mark.parametrize("view", ["gray", "binary"])
def test_draws_around_one_training_image_average_to_its_mean_image(view: str) -> None:
    model, _ = fitted(view)
    z = torch.full((50_000,), 7)
    draws = model.decoder_sample(z, torch.Generator().manual_seed(0))
    torch.testing.assert_close(draws.double().mean(0), model.decode(z[:1])[0], atol=0.01, rtol=0)


@pytest.mark.parametrize("view", ["gray", "binary"])
def test_a_fresh_model_makes_room_for_the_stored_centres(view: str, tmp_path: Path) -> None:
    model, _ = fitted(view)
    write_weights(tmp_path / "weights.pt", model)
    copy = build(settings(view), image_schema((1, 2, 3), LEVELS))
    copy.load_state_dict(load_tensors(tmp_path / "weights.pt", tmp_path / "weights.pt"))
    assert isinstance(copy, KDE)
    x = images(view, 20, 2)
    assert torch.equal(copy.log_prob(x), model.log_prob(x))
    assert copy.centres.dtype == torch.uint8 and copy.parameter_count() == 50 * 6 + 1


def test_centres_of_another_image_size_are_refused() -> None:
    model, _ = fitted("gray")
    with pytest.raises(RuntimeError, match="size mismatch for centres"):
        KDE(settings("gray"), image_schema((1, 2, 2), LEVELS)).load_state_dict(model.state_dict())


def test_settings_and_calls_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match=r"flip probabilities end at 0\.5"):
        settings("binary", -2, 0.0)
    assert max(settings("gray", -2, 0.0).grid()) == 1.0
    with pytest.raises(SettingsError, match="1024 levels do not fit"):
        KDE(settings("gray"), image_schema((1, 2, 3), 1024))
    for view in ("gray", "binary"):
        with pytest.raises(ValueError, match="needs centres: fit it"):
            KDE(settings(view), image_schema((1, 2, 3), LEVELS)).log_prob(images(view, 2, 0))


def test_settings_are_checked_without_memory_for_the_state() -> None:
    with torch.device("meta"):
        model = KDE(settings("gray"), image_schema((1, 28, 28), 256))
    assert all(buffer.is_meta for buffer in model.buffers())
