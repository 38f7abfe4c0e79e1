"""The sigmoid belief network: bounds, samples, features, settings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from belief_networks import (
    MEAN,
    STRUCTURES,
    UNITS,
    encoder,
    enumerated,
    exact_bound_of_two,
    exact_elbo,
    flat_gradient,
    generator,
    images,
    make,
    states,
)
from torch.distributions import Bernoulli

from dgmbench.data.batch import Batch
from dgmbench.errors import CapabilityError, SettingsError
from dgmbench.evaluation.likelihood.estimators import elbo, importance_sampled_log_likelihood
from dgmbench.models.capabilities import (
    CanDecode,
    CanEncode,
    CanSample,
    HasKLPerDimension,
    HasLogWeights,
    HasObservationModel,
)
from dgmbench.models.latent.discrete_gradients import Estimate
from dgmbench.models.latent.sigmoid_belief import Estimator


@STRUCTURES
def test_importance_sampling_rises_to_the_sum_over_all_latents(structure: str) -> None:
    model, x = make(structure), images()
    exact = torch.logsumexp(enumerated(model, x)[0], 0)
    sampled = importance_sampled_log_likelihood(model.log_weights, x, [30_000], seed=1, progress=False)
    size = sampled[30_000].effective_sample_size
    assert size is not None and float(size.min()) > 300
    # The relative standard error of a mean of weights is about one over the root of that size.
    assert bool(((sampled[30_000].values - exact.detach()).abs() < 4 * size.rsqrt()).all())
    # Many copies of each image, so that the bounds' averages over draws differ measurably.
    copies = x.repeat(250, 1, 1, 1)
    below = elbo(model.log_weights, copies, 25, seed=1).mean()
    rising = importance_sampled_log_likelihood(model.log_weights, copies, [2, 10], seed=1, progress=False)
    assert below < rising[2].mean() < rising[10].mean() < float(exact.detach().mean())
    assert below == pytest.approx(float(exact_elbo(model, x).detach()), abs=0.04)
    assert rising[2].mean() == pytest.approx(float(exact_bound_of_two(model, x).detach()), abs=0.15)


@STRUCTURES
def test_samples_follow_the_sum_over_all_latents(structure: str) -> None:
    model, n = make(structure), 40_000
    every = states(4).reshape(16, 1, 2, 2)
    expected = n * torch.logsumexp(enumerated(model, every)[0], 0).exp().detach().numpy()
    assert expected.sum() == pytest.approx(n, rel=1e-9)
    draws = model.sample(n, generator()).flatten(1).detach().numpy()
    counts = np.bincount((draws @ np.array([8, 4, 2, 1])).astype(int), minlength=16)
    # 15 degrees of freedom: chi-squared is above 37.7 once in a thousand.
    assert float(((counts - expected) ** 2 / expected).sum()) < 37.7


@STRUCTURES
def test_draws_of_one_latent_average_to_its_mean_image(structure: str) -> None:
    model = make(structure)
    z = model.prior_sample(1, generator())
    draws = model.decoder_sample(z.expand(50_000, -1), generator())
    torch.testing.assert_close(draws.mean(0), model.decode(z)[0].detach(), atol=0.01, rtol=0)


@pytest.mark.parametrize("estimator", ["reinforce", "nvil", "vimco"])
def test_loss_is_minus_the_bound_with_the_surrogate_s_gradient(estimator: Estimator) -> None:
    model, x = make(estimator=estimator, samples=3), images()
    loss = model.step(Batch(x), "model", generator())["loss"]
    log_w = model.log_weights(x, 3, generator())
    bound = torch.logsumexp(log_w, 0) - math.log(3) if estimator == "vimco" else log_w.mean(0)
    torch.testing.assert_close(loss, -bound.mean())
    if estimator != "nvil":
        surrogate = model.estimate(x, estimator, generator()).surrogate
        torch.testing.assert_close(
            flat_gradient(loss, encoder(model)), -flat_gradient(surrogate, encoder(model))
        )


def test_validation_is_on_discrete_latents_whatever_the_estimator() -> None:
    x = images()
    for estimator in ("reinforce", "concrete", "vimco"):
        model = make(estimator=estimator, samples=4)
        losses = model.validation_losses(Batch(x), generator())
        log_w = model.log_weights(x, 4, generator())
        torch.testing.assert_close(losses["negative_elbo"], -log_w.mean())
        expected = losses["negative_l_k" if estimator == "vimco" else "negative_elbo"]
        assert torch.equal(losses["loss"], expected)
        assert float(losses["negative_l_k"].detach()) < float(losses["negative_elbo"].detach())


@STRUCTURES
def test_capabilities_and_shapes(structure: str) -> None:
    model, x = make(structure), images(5)
    assert isinstance(model, HasLogWeights) and isinstance(model, CanEncode) and isinstance(model, CanSample)
    # Annealing moves latents continuously: neither it nor the wrapper for generators may take this model.
    assert not isinstance(model, CanDecode) and not isinstance(model, HasObservationModel)
    z = model.prior_sample(5, generator())
    assert z.shape == model.encode(x).shape == (5, model.latent_dim)
    assert set(z.unique().tolist()) == {0.0, 1.0}
    means = model.decode(model.encode(x)).detach()
    assert means.shape == x.shape and float(means.min()) > 0 and float(means.max()) < 1


def test_features_are_posterior_means() -> None:
    model, x = make(), images()
    log_q = enumerated(model, x)[1]
    expected = torch.einsum("sn,su->nu", log_q.exp(), states(UNITS))
    torch.testing.assert_close(model.encode(x), expected)


def test_kl_is_split_over_the_latents() -> None:
    model, x = make("nonlinear"), images()
    assert isinstance(model, HasKLPerDimension)
    posterior = Bernoulli(logits=model.recognition[0](x - MEAN))
    expected = torch.distributions.kl_divergence(
        posterior, Bernoulli(logits=model.prior_logits.expand(len(x), -1))
    )
    torch.testing.assert_close(model.kl_per_dimension(x), expected)
    with pytest.raises(CapabilityError, match="two stochastic layers has no closed form"):
        make("two_layers").kl_per_dimension(x)


def test_convolutional_body_runs() -> None:
    shape = (1, 8, 8)
    model = make("nonlinear", shape=shape, body="conv", channels=[3, 4], estimator="nvil")
    x = images(5, shape)
    model.step(Batch(x), "model", generator())["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.sample(2, generator()).shape == (2, *shape)


def test_output_starts_at_the_mean_training_image() -> None:
    model = make()
    for parameter in model.generation.parameters():
        parameter.data.zero_()
    torch.testing.assert_close(model.decode(torch.ones(1, UNITS, dtype=torch.float64)).detach()[0], MEAN)


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"samples: vimco .* needs 2 or more"):
        make(estimator="vimco", samples=1)
    with pytest.raises(ValueError, match="nvil needs baselines, and this model was made for reinforce"):
        make(estimator="reinforce").estimate(images(), "nvil", generator())


def test_estimate_is_a_bound_and_a_surrogate() -> None:
    bound, surrogate = torch.tensor(-3.0, requires_grad=True), torch.tensor(7.0, requires_grad=True)
    loss = Estimate(bound, surrogate).loss()
    loss.backward()
    assert float(loss.detach()) == 3.0
    assert bound.grad is None and float(surrogate.grad or 0) == -1.0
