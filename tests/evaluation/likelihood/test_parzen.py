"""Parzen window against scikit-learn's kernel density and the closed form of a single kernel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.neighbors import KernelDensity

from dgmbench.evaluation.likelihood.parzen import PUBLISHED_GRID, parzen_log_likelihood, select_bandwidth


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


def test_a_stream_of_samples_is_scored_as_the_whole() -> None:
    samples, valid = images(200, 0), images(60, 1)
    assert torch.equal(
        parzen_log_likelihood(samples, valid, 0.2), parzen_log_likelihood(samples.split(33), valid, 0.2)
    )
    assert select_bandwidth(samples, valid) == select_bandwidth(iter(samples.split(33)), valid)


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
    with pytest.raises(ValueError, match="no centres"):
        parzen_log_likelihood(samples[:0], samples, 0.1)
    with pytest.raises(ValueError, match="no centres"):
        select_bandwidth(iter([]), samples)
    with pytest.raises(ValueError, match="empty"):
        parzen_log_likelihood(samples, samples[:0], 0.1)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        parzen_log_likelihood(samples.to(torch.uint8), samples, 0.1)
