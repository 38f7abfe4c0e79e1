from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dgmbench.evaluation.likelihood import elbo, importance_sampled_log_likelihood
from dgmbench.models.vae import VAE, VAESettings, kl_to_standard_normal


def make(view: str, **settings: Any) -> VAE:
    base = {"family": "vae", "view": view, "latent_dim": 3, "hidden": [7]}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VAE(VAESettings.model_validate(base | settings), (1, 3, 3), 17).double()


def images(view: str, n: int = 6) -> Tensor:
    x = torch.rand((n, 1, 3, 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (x < 0.5).double() if view == "binary" else x


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize(
    ("view", "settings"),
    [
        ("binary", {}),
        ("gray", {}),
        ("gray", {"variance": "pixel"}),
        ("gray", {"variance": "shared", "mean": "identity"}),
    ],
)
def test_gradient_of_the_elbo_agrees_with_finite_differences(view: str, settings: dict[str, Any]) -> None:
    model, x, step = make(view, **settings), images(view), 1e-6
    model.step(x, "model", generator())["loss"].backward()
    checked = 0
    for parameter in model.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad
        assert gradient is not None
        for index in {0, flat.numel() // 2, flat.numel() - 1}:
            values = []
            for sign in (1, -1):
                flat[index] += sign * step
                values.append(float(model.step(x, "model", generator())["loss"].detach()))
                flat[index] -= sign * step
            numeric = (values[0] - values[1]) / (2 * step)
            assert math.isclose(float(gradient.view(-1)[index]), numeric, rel_tol=1e-5, abs_tol=1e-7)
            checked += 1
    assert checked > 15


@pytest.mark.parametrize("variance", ["network", "pixel", "shared"])
def test_gray_decoder_is_the_gaussian_it_claims(variance: str) -> None:
    model, x = make("gray", variance=variance), images("gray")
    z = torch.randn((4, 6, 3), generator=generator(), dtype=torch.float64)
    mean, log_variance = model._gaussian(z)
    expected = torch.distributions.Normal(mean, (0.5 * log_variance).exp()).log_prob(x.flatten(1)).sum(-1)
    torch.testing.assert_close(model.decoder_log_prob(x, z), expected)


def test_binary_decoder_is_the_bernoulli_it_claims() -> None:
    model, x = make("binary"), images("binary")
    z = torch.randn((4, 6, 3), generator=generator(), dtype=torch.float64)
    logits = model.output_head(model.decoder(z))
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(x.flatten(1)).sum(-1)
    torch.testing.assert_close(model.decoder_log_prob(x, z), expected)


def test_variances_keep_to_their_floor() -> None:
    model = make("gray", variance="shared", least_deviation=0.1)
    with torch.no_grad():
        model.raw_log_variance.fill_(-100.0)
    log_variance = model._gaussian(torch.zeros(1, 3, dtype=torch.float64))[1]
    assert math.isclose(float(log_variance.detach().exp().sqrt().max()), 0.1, rel_tol=1e-6)


def test_kl_is_that_of_torch() -> None:
    mean, log_variance = torch.randn(2, 5, 3, generator=generator(), dtype=torch.float64)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(-1)
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected)


def test_mean_log_weight_is_the_elbo_of_training() -> None:
    model, x = make("binary"), images("binary")
    with torch.no_grad():
        weights = model.log_weights(x, 40_000, generator())
        losses = [model.step(x, "model", torch.Generator().manual_seed(s))["loss"] for s in range(2000)]
    assert abs(float(weights.mean()) + float(torch.stack(losses).mean())) < 0.02


def linear_vae() -> tuple[VAE, torch.distributions.MultivariateNormal]:
    """A VAE without hidden layers and with one variance: its marginal is Gaussian."""
    model = make("gray", hidden=[], variance="shared", mean="identity")
    with torch.no_grad():
        model.raw_log_variance.fill_(math.log(0.05))
        model.posterior_head.weight.mul_(0.3)
    weights, bias = model.output_head.weight.detach(), model.output_head.bias.detach()
    variance = model._gaussian(torch.zeros(1, 3, dtype=torch.float64))[1].exp()
    covariance = weights @ weights.T + variance * torch.eye(9, dtype=torch.float64)
    return model, torch.distributions.MultivariateNormal(bias, covariance)


def test_bounds_rise_to_the_exact_likelihood_of_a_linear_model() -> None:
    model, marginal = linear_vae()
    x = images("gray", 64)
    bound = elbo(model.log_weights, x, 200, seed=3)
    sampled = importance_sampled_log_likelihood(model.log_weights, x, [10, 1000], seed=3, progress=False)
    exact = float(marginal.log_prob(x.flatten(1)).mean())
    assert bound.mean() < sampled[10].mean() < sampled[1000].mean() < exact + 1e-3
    # The posterior is untrained, hence a poor proposal: 1000 draws come near, one does not.
    assert exact - sampled[1000].mean() < 0.1 < exact - bound.mean()


def test_samples_follow_the_marginal_of_a_linear_model() -> None:
    model, marginal = linear_vae()
    draws = model.sample(100_000, generator()).detach().flatten(1)
    torch.testing.assert_close(draws.mean(0), marginal.mean, atol=0.02, rtol=0)
    torch.testing.assert_close(draws.T.cov(), marginal.covariance_matrix, atol=0.02, rtol=0.03)


def test_binary_samples_are_draws_and_not_means() -> None:
    draws = make("binary").sample(50, generator())
    assert draws.shape == (50, 1, 3, 3)
    assert set(draws.unique().tolist()) == {0.0, 1.0}
