"""All likelihood estimators side by side where the truth is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from dgmbench.data.batch import Batch
from dgmbench.data.pixels import bits_per_dim, nats_from_bits_per_dim
from dgmbench.data.schema import image_schema
from dgmbench.evaluation.likelihood.annealing import annealed_log_likelihood
from dgmbench.evaluation.likelihood.annealing_path import Annealing
from dgmbench.evaluation.likelihood.bdmc import bidirectional_gap
from dgmbench.evaluation.likelihood.estimators import (
    PointEstimates,
    elbo,
    exact_log_likelihood,
    importance_sampled_log_likelihood,
)
from dgmbench.evaluation.likelihood.noise_blocks import NoiseBlock
from dgmbench.models.latent.vae import VAE, VAESettings
from dgmbench.models.parts.densities import standard_normal_log_prob

LATENT, WIDTH, NOISE = 2, 5, 0.7


class LinearGaussian:
    """z ~ N(0, I), x|z ~ N(Wz + b, s^2 I), with a q(z|x) that misses the posterior in mean and width."""

    latent_dim = LATENT

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(WIDTH, LATENT, generator=generator, dtype=torch.float64)
        self.bias = torch.randn(WIDTH, generator=generator, dtype=torch.float64)
        precision = torch.eye(LATENT, dtype=torch.float64) + self.weight.T @ self.weight / NOISE**2
        self.covariance = torch.linalg.inv(precision)

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, LATENT, generator=generator, dtype=torch.float64)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        return standard_normal_log_prob(z)

    def decode(self, z: Tensor) -> Tensor:
        return z @ self.weight.T + self.bias

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        return self.decode(z) + NOISE * torch.randn(len(z), WIDTH, generator=generator, dtype=torch.float64)

    def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        squares = ((x - self.decode(z)) / NOISE).square().sum(-1)
        return -0.5 * squares - WIDTH * math.log(NOISE * math.sqrt(2 * math.pi))

    def posterior(self, x: Tensor) -> MultivariateNormal:
        return MultivariateNormal((x - self.bias) @ self.weight @ self.covariance / NOISE**2, self.covariance)

    def proposal(self, x: Tensor) -> MultivariateNormal:
        return MultivariateNormal(self.posterior(x).loc + 0.3, 1.5 * self.covariance)

    def log_weights(self, x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        q = self.proposal(x)
        noise = torch.randn(k, len(x), LATENT, generator=generator, dtype=torch.float64)
        z = q.loc + noise @ q.scale_tril[0].T
        return self.prior_log_prob(z) + self.decoder_log_prob(x, z) - q.log_prob(z)

    def log_prob(self, x: Tensor) -> Tensor:
        covariance = self.weight @ self.weight.T + NOISE**2 * torch.eye(WIDTH, dtype=torch.float64)
        return MultivariateNormal(self.bias, covariance).log_prob(x)

    def data(self, n: int) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        return self.decoder_sample(self.prior_sample(n, generator), generator)


def standard_errors_apart(difference: Tensor) -> float:
    """Mean of paired differences over its standard error."""
    return abs(float(difference.mean())) / (float(difference.std()) / math.sqrt(len(difference)))


def test_importance_sampling_and_annealing_give_the_exact_marginal() -> None:
    model = LinearGaussian()
    x = model.data(100)
    exact = exact_log_likelihood(model.log_prob, x).values
    sampled = importance_sampled_log_likelihood(model.log_weights, x, [5000])[5000].values
    annealed = annealed_log_likelihood(model, x, Annealing(16, 1000, 5, block_points=100)).estimates.values
    assert standard_errors_apart(sampled - exact) < 3
    assert standard_errors_apart(annealed - exact) < 3
    assert float((sampled - exact).abs().max()) < 0.2 and float((annealed - exact).abs().max()) < 1.0


def test_the_elbo_is_below_by_the_divergence_to_a_thousandth_of_a_nat() -> None:
    model = LinearGaussian()
    x = model.data(200)
    block = NoiseBlock(points=200, draws=2000)
    bound = elbo(model.log_weights, x, 40_000, max_evaluations=10**6, noise_block=block)
    expected = float(kl_divergence(model.proposal(x), model.posterior(x)).mean())
    assert expected > 0.1
    assert abs(float(model.log_prob(x).mean()) - bound.mean() - expected) < 1e-3


def test_annealing_bounds_bracket_the_exact_marginal_of_simulated_images() -> None:
    model = LinearGaussian()
    seen: list[Tensor] = []

    class Watching(LinearGaussian):
        def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
            seen.append(super().decoder_sample(z, generator))
            return seen[-1]

    found = bidirectional_gap(Watching(), 80, Annealing(1, 8, 5, block_points=80))
    truth = model.log_prob(torch.cat(seen))
    below, above = truth - found.lower.values, found.upper.values - truth
    assert float(below.mean()) > 2 * float(below.std()) / math.sqrt(80)
    assert float(above.mean()) > 2 * float(above.std()) / math.sqrt(80)


@pytest.fixture(scope="module")
def trained() -> tuple[VAE, Tensor]:
    """A Bernoulli VAE with two latents after some training on digits, and held-out images."""
    from sklearn.datasets import load_digits

    images = torch.from_numpy(load_digits().images > 7).float().reshape(-1, 1, 8, 8)
    settings = VAESettings(family="vae", view="binary", latent_dim=2, hidden=[64, 64])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = VAE(settings, image_schema((1, 8, 8), 2))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        batch = images[torch.randint(1500, (100,), generator=generator)]
        optimizer.zero_grad()
        model.step(Batch(batch), "model", generator)["loss"].backward()
        optimizer.step()
    return model.eval(), images[1600:1624]


def quadrature(model: VAE, x: Tensor, half: float = 7.0, points: int = 281) -> Tensor:
    """log p(x) by the trapezoidal rule over the latent plane."""
    axis = torch.linspace(-half, half, points)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        parts = []
        for image in x:
            rows = image.expand(len(grid), *image.shape)
            parts.append(model.decoder_log_prob(rows, grid) + model.prior_log_prob(grid))
    joint = torch.stack(parts).double()
    return torch.logsumexp(joint, 1) + 2 * math.log(float(axis[1] - axis[0]))


def test_every_estimator_agrees_with_quadrature_on_a_two_latent_vae(trained: tuple[VAE, Tensor]) -> None:
    model, x = trained
    truth = quadrature(model, x)
    assert torch.allclose(truth, quadrature(model, x, half=6.0, points=201), atol=1e-3)
    sampled = importance_sampled_log_likelihood(model.log_weights, x, [10_000])[10_000].values
    annealed = annealed_log_likelihood(model, x, Annealing(16, 400, 5)).estimates.values
    assert abs(float((sampled - truth).mean())) < 0.05
    assert abs(float((annealed - truth).mean())) < 0.05
    bound = elbo(model.log_weights, x, 1000).values
    assert bool((bound < truth).all())


def test_annealing_of_a_float32_model_does_not_depend_on_the_block(trained: tuple[VAE, Tensor]) -> None:
    model, x = trained
    values = [
        annealed_log_likelihood(model, x[:10], Annealing(4, 150, 5, block_points=size)).estimates.values
        for size in (1, 4, 10)
    ]
    assert torch.allclose(values[0], values[2], rtol=0, atol=1e-5)
    assert torch.allclose(values[1], values[2], rtol=0, atol=1e-5)
    assert next(model.parameters()).dtype == torch.float32


def test_a_density_of_dequantised_data_bounds_the_discrete_image_from_below() -> None:
    # Two pixels of four levels under a correlated Gaussian: cell probabilities by fine quadrature.
    levels, fine = 4, 60
    model = MultivariateNormal(torch.tensor([0.4, 0.6]), torch.tensor([[0.05, 0.03], [0.03, 0.06]]))
    offsets = (torch.arange(fine) + 0.5) / fine
    noise = torch.cartesian_prod(offsets, offsets)
    slack = []
    for image in torch.cartesian_prod(torch.arange(levels), torch.arange(levels)):
        density = model.log_prob((image + noise) / levels).double()
        probability = density.logsumexp(0) - math.log(len(noise)) - 2 * math.log(levels)
        bound = density.mean() - 2 * math.log(levels)
        slack.append(float(probability - bound))
        bits = bits_per_dim(density.mean(), 2, levels)
        assert math.isclose(float(bits), -float(bound) / (2 * math.log(2)), rel_tol=1e-6)
        assert float(bits) >= -float(probability) / (2 * math.log(2))
    assert min(slack) > 0 and max(slack) > 0.1


def test_bits_and_nats_convert_back_and_forth_and_know_uniform_noise() -> None:
    assert bits_per_dim(0.0, 784, 256) == pytest.approx(8.0)
    nats = torch.tensor([-120.0, 1300.0], dtype=torch.float64)
    assert torch.allclose(nats_from_bits_per_dim(bits_per_dim(nats, 784, 256), 784, 256), nats)


def test_standard_error_is_that_of_the_mean_over_images() -> None:
    values = torch.tensor([1.0, 3.0, 5.0, 7.0], dtype=torch.float64)
    assert PointEstimates(values).std_error() == pytest.approx(math.sqrt(20 / 3 / 4))
