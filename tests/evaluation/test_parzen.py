"""Parzen window against scikit-learn's kernel density and the closed form of a single kernel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.neighbors import KernelDensity

from dgmbench.evaluation import parzen
from dgmbench.evaluation.parzen import PUBLISHED_GRID, parzen_log_likelihood, select_bandwidth


def images(n: int, seed: int, width: int = 40) -> torch.Tensor:
    return torch.rand(n, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("bandwidth", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_agrees_with_scikit_learn(bandwidth: float, offset: float) -> None:
    samples, x = images(300, 0).double() + offset, images(120, 1).double() + offset
    ours = parzen_log_likelihood(samples, x, bandwidth).numpy()
    # One leaf: with its default of 40, scikit-learn 1.9 cancels in the bounds of its tree and is hundreds
    # of nats off at small bandwidths.
    tree = KernelDensity(bandwidth=bandwidth, leaf_size=len(samples)).fit(samples.numpy())
    np.testing.assert_allclose(ours, tree.score_samples(x.numpy()), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("bandwidth", [0.05, 0.2, 1.0])
def test_agrees_with_the_definition(bandwidth: float) -> None:
    samples, x = images(300, 0).double().numpy(), images(120, 1).double().numpy()
    squared = ((x[:, None] - samples[None]) ** 2).sum(2)
    kernels = -squared / (2 * bandwidth**2) - 40 * math.log(bandwidth * math.sqrt(2 * math.pi))
    ours = parzen_log_likelihood(torch.from_numpy(samples), torch.from_numpy(x), bandwidth)
    np.testing.assert_allclose(ours, logsumexp(kernels, axis=1) - math.log(300), rtol=1e-12, atol=1e-10)


def test_one_sample_is_one_gaussian() -> None:
    sample = images(1, 0)
    value = parzen_log_likelihood(sample, sample, 0.3)
    assert float(value[0]) == pytest.approx(-40 * math.log(0.3 * math.sqrt(2 * math.pi)), rel=1e-12)


def test_images_are_flattened_and_far_points_stay_finite() -> None:
    samples = images(9, 0).reshape(9, 1, 5, 8)
    value = parzen_log_likelihood(samples, samples[:2] + 500, 0.1)
    assert value.shape == (2,) and value.dtype == torch.float64 and bool(torch.isfinite(value).all())


def test_block_sizes_do_not_change_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, x = images(100, 0), images(50, 1)
    whole = parzen_log_likelihood(samples, x, 0.2)
    monkeypatch.setattr(parzen, "POINT_BLOCK", 7)
    monkeypatch.setattr(parzen, "SAMPLE_BLOCK", 11)
    assert torch.allclose(parzen_log_likelihood(samples, x, 0.2), whole, rtol=1e-12)


def test_no_distance_block_is_larger_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parzen, "POINT_BLOCK", 16)
    monkeypatch.setattr(parzen, "SAMPLE_BLOCK", 32)
    sizes, original = [], torch.addmm

    def recording(*args: torch.Tensor, **options: float) -> torch.Tensor:
        result = original(*args, **options)
        sizes.append(result.shape)
        return result

    monkeypatch.setattr(torch, "addmm", recording)
    parzen_log_likelihood(images(100, 0), images(50, 1), 0.2)
    assert sizes and max(n for n, _ in sizes) <= 16 and max(m for _, m in sizes) <= 32


def test_the_grid_is_scored_as_its_members_are() -> None:
    samples, valid = images(200, 0), images(60, 1)
    choice = select_bandwidth(samples, valid)
    assert choice.grid == PUBLISHED_GRID == pytest.approx(np.logspace(-1, 0, 10))
    single = [float(parzen_log_likelihood(samples, valid, h).mean()) for h in choice.grid]
    assert choice.scores == pytest.approx(single, rel=1e-12)
    assert choice.bandwidth == choice.grid[int(np.argmax(single))]


def test_the_edge_of_the_grid_is_flagged() -> None:
    samples, valid = images(200, 0), images(60, 1)
    inside = select_bandwidth(samples, valid)
    assert not inside.at_edge
    assert select_bandwidth(samples, valid, [h for h in PUBLISHED_GRID if h >= inside.bandwidth]).at_edge
    assert select_bandwidth(samples, valid, [0.001, inside.bandwidth]).at_edge


def test_memorised_validation_images_pull_the_bandwidth_to_the_edge() -> None:
    samples = images(200, 0)
    choice = select_bandwidth(samples, samples)
    assert choice.bandwidth == pytest.approx(0.1) and choice.at_edge


def test_unfit_inputs_are_refused() -> None:
    samples = images(5, 0)
    with pytest.raises(ValueError, match="grid"):
        select_bandwidth(samples, samples, [])
    with pytest.raises(ValueError, match="positive"):
        parzen_log_likelihood(samples, samples, 0.0)
    with pytest.raises(ValueError, match="values each"):
        parzen_log_likelihood(samples, samples[:, :3], 0.1)
    with pytest.raises(ValueError, match="empty"):
        parzen_log_likelihood(samples[:0], samples, 0.1)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        parzen_log_likelihood(samples.to(torch.uint8), samples, 0.1)
