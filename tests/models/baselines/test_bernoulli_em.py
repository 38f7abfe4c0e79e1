"""EM on mixtures of Bernoulli products: its objective, its steps and its start."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from binary_truth import TRUTH, fitted, flat, images, random_mixture
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmbench.models.baselines import bernoulli_em
from dgmbench.models.baselines.bernoulli_em import (
    Mixture,
    Prior,
    Statistics,
    assign,
    expect,
    marginal,
    maximise,
    run_em,
    spread_seeds,
)


@settings(max_examples=40, deadline=None)
@given(k=st.integers(1, 8), seed=st.integers(0, 10**6), strength=st.sampled_from([1e-9, 0.01, 1.0, 30.0]))
def test_every_step_raises_the_likelihood_times_the_prior(k: int, seed: int, strength: float) -> None:
    x = flat(40, seed)
    prior = Prior(strength, marginal(x))
    _, history = run_em(x, random_mixture(k, seed), prior, 25, tolerance=-math.inf)
    assert len(history) == 25
    assert min(after - before for before, after in itertools.pairwise(history)) > -1e-10
    assert history[-1] - history[0] > 0


def test_em_ends_at_a_stationary_point_of_the_objective() -> None:
    x = flat(200)
    prior = Prior(2.0, marginal(x))
    mixture, _ = run_em(x, random_mixture(3), prior, 2000, tolerance=-math.inf)
    weights, logits = (
        mixture.log_proportions.clone().requires_grad_(),
        mixture.logits.clone().requires_grad_(),
    )
    free = Mixture(torch.log_softmax(weights, 0), logits)
    objective = torch.logsumexp(free.log_joint(x.double()), 1).sum() + prior.log_density(free)
    slopes = torch.autograd.grad(objective, [weights, logits])
    assert max(float(slope.abs().max()) for slope in slopes) < 1e-6


def test_it_stops_at_the_tolerance_and_not_before() -> None:
    x = flat(200)
    _, history = run_em(x, random_mixture(3), Prior(1.0, marginal(x)), 1000, tolerance=1e-4)
    gains = np.diff(history)
    assert gains[-1] < 1e-4 and (gains[:-1] >= 1e-4).all() and 3 < len(history) < 1000


def test_one_component_is_the_marginal_with_the_prior_s_images_counted_in() -> None:
    model, _ = fitted(components=[1], pseudo_counts=[4.0])
    x = images(300).flatten(1).double()
    average = (x.sum(0) + 0.5) / 301
    expected = (x.sum(0) + 4 * average) / 304
    torch.testing.assert_close(torch.sigmoid(model.mixture().logits[0]), expected)


def test_the_components_of_the_truth_are_found() -> None:
    model, _ = fitted(20_000, components=[2], pseudo_counts=[0.1], tolerance=1e-8)
    mixture = model.mixture()
    order = mixture.log_proportions.argsort()
    truth = torch.tensor([0.3, 0.7], dtype=torch.float64)
    torch.testing.assert_close(mixture.log_proportions[order].exp(), truth, atol=0.02, rtol=0)
    torch.testing.assert_close(torch.sigmoid(mixture.logits[order]), TRUTH, atol=0.02, rtol=0)


def test_passes_in_batches_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    x, mixture = flat(100), random_mixture(4)
    whole, hard = expect(x, mixture), assign(x, spread_seeds(x, 4, torch.Generator().manual_seed(0)))
    monkeypatch.setattr(bernoulli_em, "BATCH", 7)
    parts, again = expect(x, mixture), assign(x, spread_seeds(x, 4, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(whole[0].on, parts[0].on)
    torch.testing.assert_close(whole[0].images, parts[0].images)
    assert math.isclose(whole[1], parts[1])
    assert torch.equal(hard.on, again.on) and torch.equal(hard.images, again.images)


def test_images_are_assigned_to_the_nearest_centre() -> None:
    x, centres = flat(200), torch.tensor([[0] * 6, [1] * 6, [0, 0, 0, 1, 1, 1]], dtype=torch.uint8)
    nearest = torch.cdist(x.float(), centres.float(), p=0).argmin(1)
    found = assign(x, centres)
    assert found.images.tolist() == torch.bincount(nearest, minlength=3).tolist()
    expected = torch.stack([x[nearest == index].sum(0) for index in range(3)])
    assert torch.equal(found.on, expected.double())


def test_seeds_are_different_images_as_long_as_there_are_any() -> None:
    patterns = torch.eye(6, dtype=torch.uint8).repeat(30, 1)
    for seed in range(20):
        seeds = spread_seeds(patterns, 6, torch.Generator().manual_seed(seed))
        assert len(seeds.unique(dim=0)) == 6
    assert spread_seeds(patterns, 8, torch.Generator().manual_seed(0)).shape == (8, 6)


def test_tiny_probabilities_are_not_rounded_away() -> None:
    x = torch.ones(1000, 3, dtype=torch.uint8)
    mixture = maximise(
        Statistics(torch.tensor([1000.0]).double(), x.sum(0, keepdim=True).double()),
        Prior(1e-12, marginal(x)),
    )
    off = torch.exp(torch.nn.functional.logsigmoid(-mixture.logits))
    assert bool(torch.isfinite(mixture.logits).all()) and 0 < float(off.max()) < 1e-15
