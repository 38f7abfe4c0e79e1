"""Pairwise distances against loops and the closed form of a Gaussian."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dgmbench.evaluation.quality import diversity
from dgmbench.evaluation.quality.diversity import mean_pairwise_distance, pairwise_distance_ratio


def draws(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_it_is_the_mean_over_pairs_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    images = draws(0, 12, 1, 3, 2)
    pairs = [float((a - b).norm()) for i, a in enumerate(images) for b in images[:i]]
    assert mean_pairwise_distance(images)[0] == pytest.approx(np.mean(pairs), rel=1e-6)
    monkeypatch.setattr(diversity, "BLOCK_VALUES", 30)
    assert mean_pairwise_distance(images)[0] == pytest.approx(np.mean(pairs), rel=1e-6)


def test_gaussian_pairs_lie_as_far_apart_as_the_chi_distribution_says() -> None:
    expected = math.sqrt(2) * math.sqrt(2) * math.gamma(5.5) / math.gamma(5)
    found = [mean_pairwise_distance(draws(seed, 200, 10)) for seed in range(80)]
    values = np.array([value for value, _ in found])
    assert values.mean() == pytest.approx(expected, abs=4 * values.std() / math.sqrt(len(values)))
    assert np.mean([error for _, error in found]) == pytest.approx(values.std(), rel=0.3)


def test_scale_goes_through_and_a_single_image_has_no_diversity() -> None:
    real = draws(0, 50, 1, 4, 4)
    assert pairwise_distance_ratio(0.5 * real, real).ratio == pytest.approx(0.5, rel=1e-12)
    assert pairwise_distance_ratio(real[:1].repeat(20, 1, 1, 1) + 7.1, real).ratio == pytest.approx(
        0, abs=1e-6
    )


def test_unfit_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="all equal"):
        pairwise_distance_ratio(draws(0, 3, 2), torch.ones(4, 2))
    with pytest.raises(ValueError, match=r"samples are \(2,\) and real images \(3,\)"):
        pairwise_distance_ratio(draws(0, 3, 2), draws(0, 3, 3))
    with pytest.raises(ValueError, match="at least two"):
        mean_pairwise_distance(draws(0, 1, 2))
    with pytest.raises(ValueError, match="NaN"):
        mean_pairwise_distance(torch.full((3, 2), torch.nan))
