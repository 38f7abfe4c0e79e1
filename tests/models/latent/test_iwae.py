from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import CapabilityError
from dgmbench.evaluation.likelihood.estimators import elbo, importance_sampled_log_likelihood
from dgmbench.models.capabilities import (
    CanEncode,
    CanSample,
    HasGaussianPosterior,
    HasLogWeights,
    HasObservationModel,
)
from dgmbench.models.latent.iwae import IWAE, GaussianLayer, IWAESettings
from dgmbench.models.latent.multi_sample import log_mean_exp

BOTH = pytest.mark.parametrize("latent_dims", [[3], [4, 2]])
TINY = pytest.mark.parametrize("latent_dims", [[1], [1, 1]])


def make(latent_dims: list[int], shape: tuple[int, int, int] = (1, 2, 2), **settings: Any) -> IWAE:
    base = {
        "family": "iwae",
        "view": "binary",
        "hidden": [7],
        "upper_hidden": [5],
        "latent_dims": latent_dims,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = IWAE(IWAESettings.model_validate(base | settings), image_schema(shape, 17)).double()
        for parameter in model.parameters():
            # Away from the start, where biases are zero and all layers nearly linear.
            parameter.data += 0.3 * torch.randn_like(parameter)
        return model


def overlapping(latent_dims: list[int]) -> IWAE:
    """A model whose q is wide enough for weights of finite variance, so that a mean of them can be tested."""
    model = make(latent_dims)
    for name, layer in model.named_modules():
        if isinstance(layer, GaussianLayer):
            layer.head.weight.data *= 0.3
            layer.head.bias.data = torch.tensor([0.1, 0.5 if "posterior" in name else 0.0]).double()
    return model


def images(n: int = 6, shape: tuple[int, int, int] = (1, 2, 2)) -> Tensor:
    uniform = torch.rand((n, *shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (uniform < 0.5).double()


def generator(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(mean: Tensor, log_variance: Tensor) -> Independent:
    return Independent(Normal(mean, (0.5 * log_variance).exp()), 1)


def log_joint(model: IWAE, x: Tensor, *h: Tensor) -> Tensor:
    """log p(x, h) with torch's distributions, for flat x and h1 (and h2) of equal leading shapes."""
    logits = model.decoder(h[0]) + model.output_offset
    total = Independent(Bernoulli(logits=logits), 1).log_prob(x)
    if len(h) == 2:
        total = total + normal(*model.upper_prior(h[1])).log_prob(h[0])
    return total + normal(torch.zeros_like(h[-1]), torch.zeros_like(h[-1])).log_prob(h[-1])


@torch.no_grad()
def quadrature(model: IWAE) -> tuple[Tensor, Tensor]:
    """All 16 images ``[16, 1, 2, 2]`` and their exact log-likelihoods, by a grid over the latents."""
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=torch.float64)
    step = 0.1
    axis = torch.arange(-12, 12, step, dtype=torch.float64)
    points = torch.cartesian_prod(*[axis] * len(model.sizes)).reshape(-1, len(model.sizes))
    parts = [
        torch.logsumexp(log_joint(model, image, *points.split(1, -1)), 0) + len(model.sizes) * math.log(step)
        for image in x
    ]
    return x.reshape(16, 1, 2, 2), torch.stack(parts)


def gradients(loss: Tensor, model: IWAE) -> Tensor:
    parts = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
    return torch.cat([part.flatten() for part in parts])


@BOTH
def test_weights_are_those_of_torch_distributions(latent_dims: list[int]) -> None:
    model, x, noise = make(latent_dims), images(), generator()
    mean, log_variance = model.posterior(x)
    q1 = normal(mean, log_variance)
    h1 = mean + q1.base_dist.scale * torch.randn((3, 6, latent_dims[0]), generator=noise, dtype=torch.float64)
    h, log_q = [h1], q1.log_prob(h1)
    if len(latent_dims) == 2:
        q2 = normal(*model.upper_posterior(h1))
        scale = q2.base_dist.scale
        h.append(q2.mean + scale * torch.randn(scale.shape, generator=noise, dtype=torch.float64))
        log_q = log_q + q2.log_prob(h[1])
    expected = log_joint(model, x.flatten(1).expand(3, -1, -1), *h) - log_q
    torch.testing.assert_close(model.log_weights(x, 3, generator()), expected)


@BOTH
def test_prior_and_observation_model_make_up_the_joint(latent_dims: list[int]) -> None:
    model, x = make(latent_dims), images()
    z = torch.randn((4, 6, sum(latent_dims)), generator=generator(), dtype=torch.float64)
    expected = log_joint(model, x.flatten(1).expand(4, -1, -1), *z.split(latent_dims, -1))
    torch.testing.assert_close(model.decoder_log_prob(x, z) + model.prior_log_prob(z), expected)


@pytest.mark.parametrize("latent_dims", [[3], [4, 2]])
def test_at_one_sample_both_objectives_are_the_elbo(latent_dims: list[int]) -> None:
    x = images()
    models = [make(latent_dims, objective=objective, samples=1) for objective in ("iwae", "vae")]
    losses = [model.step(Batch(x), "model", generator())["loss"] for model in models]
    assert float(losses[0].detach()) == pytest.approx(float(losses[1].detach()), rel=1e-12)
    expected = -models[0].log_weights(x, 1, generator()).mean()
    torch.testing.assert_close(losses[0], expected)
    torch.testing.assert_close(gradients(losses[0], models[0]), gradients(losses[1], models[1]))


@BOTH
def test_bound_rises_with_k_on_every_image_when_draws_are_shared(latent_dims: list[int]) -> None:
    """Theorem 1 of the paper by its proof: a bound of k draws averages those of any m among them."""
    with torch.no_grad():
        log_w = make(latent_dims).log_weights(images(), 240, generator())
    means = [
        torch.stack([log_mean_exp(block) for block in log_w.split(size)]).mean(0) for size in (1, 5, 40, 240)
    ]
    for fewer, more in itertools.pairwise(means):
        assert bool((fewer < more).all())


def test_the_losses_are_minus_the_bounds_and_not_weighted_sums_of_log_weights() -> None:
    model, x = make([3], samples=5), images()
    losses = model.step(Batch(x), "model", generator())
    w = model.log_weights(x, 5, generator()).detach().exp()
    assert float(losses["loss"].detach()) == pytest.approx(-float(w.mean(0).log().mean()), rel=1e-12)
    assert float(losses["negative_elbo"]) == pytest.approx(-float(w.log().mean()), rel=1e-12)
    mistaken = -float((w / w.sum(0) * w.log()).sum(0).mean())
    assert abs(float(losses["loss"].detach()) - mistaken) > 0.01


@BOTH
def test_gradient_is_the_sum_by_normalised_weights_of_the_single_gradients(latent_dims: list[int]) -> None:
    """Eq. 14, one image and one draw at a time."""
    model, x, k = make(latent_dims, samples=4), images(3), 4
    found = gradients(model.step(Batch(x), "model", generator())["loss"], model)
    log_w = model.log_weights(x, k, generator())
    w = log_w.detach().exp()
    normalised = w / w.sum(0)
    assert bool((normalised > 0).all()) and torch.allclose(normalised.sum(0), torch.ones(3).double())
    total = torch.zeros_like(found)
    for i, j in itertools.product(range(k), range(3)):
        total += normalised[i, j] * gradients(log_w[i, j], model) / 3
    torch.testing.assert_close(found, -total)
    # The loss falls along its negative gradient: the bound is ascended.
    vae = make(latent_dims, samples=4, objective="vae")
    loss = vae.step(Batch(x), "model", generator())["loss"]
    torch.testing.assert_close(gradients(loss, vae), -gradients(log_w.mean(), model))


@TINY
def test_weights_are_unbiased_estimates_of_the_likelihood(latent_dims: list[int]) -> None:
    model = overlapping(latent_dims)
    x, exact = quadrature(model)
    with torch.no_grad():
        ratio = (model.log_weights(x, 20_000, generator()) - exact).exp()
    error = ratio.std(0) / math.sqrt(len(ratio))
    assert bool(((ratio.mean(0) - 1).abs() < 3.5 * error).all())
    assert float(error.max()) < 0.02


@TINY
def test_bounds_rise_to_the_exact_likelihood(latent_dims: list[int]) -> None:
    model = overlapping(latent_dims)
    x, exact = quadrature(model)
    below = elbo(model.log_weights, x, 500, seed=2)
    sampled = importance_sampled_log_likelihood(model.log_weights, x, [5, 5000], seed=2, progress=False)
    assert below.mean() < sampled[5].mean() < sampled[5000].mean()
    assert sampled[5000].mean() == pytest.approx(float(exact.mean()), abs=0.005)


@TINY
def test_samples_follow_the_exact_likelihood(latent_dims: list[int]) -> None:
    model, n = make(latent_dims), 50_000
    _, exact = quadrature(model)
    assert float(exact.exp().sum()) == pytest.approx(1, abs=1e-6)
    with torch.no_grad():
        draws = model.sample(n, generator()).flatten(1).numpy()
    counts = np.bincount((draws @ np.array([8, 4, 2, 1])).astype(int), minlength=16)
    expected = n * exact.exp().numpy()
    # 15 degrees of freedom: chi-squared is above 37.7 once in a thousand.
    assert float(((counts - expected) ** 2 / expected).sum()) < 37.7


def test_start_is_that_of_the_paper() -> None:
    settings = IWAESettings(family="iwae", view="binary", latent_dims=[100, 50])
    model = IWAE(settings, image_schema((1, 28, 28), 256))
    sizes = {tuple(layer.weight.shape) for layer in model.modules() if isinstance(layer, torch.nn.Linear)}
    up = {(200, 784), (200, 200), (200, 200), (100, 100), (100, 100)}
    down = {(100, 50), (100, 100), (200, 100), (200, 200), (784, 200)}
    assert sizes == up | down
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            largest = math.sqrt(6 / sum(layer.weight.shape))
            assert 0.95 * largest < float(layer.weight.detach().abs().max()) <= largest * (1 + 1e-6)
            assert not layer.bias.detach().any()


def test_output_starts_at_the_mean_training_image() -> None:
    model = make([3])
    for parameter in model.decoder.parameters():
        parameter.data.zero_()
    mean = torch.tensor([[[0.2, 0.9], [0.5, 0.0]]], dtype=torch.float64)
    model.use_training_mean(mean)
    decoded = model.decode(torch.zeros(1, 3, dtype=torch.float64)).detach()
    torch.testing.assert_close(decoded[0], mean.clamp_min(1e-3))
    assert "output_offset" in model.state_dict()


@pytest.mark.parametrize("latent_dims", [[3], [4, 2]])
@pytest.mark.parametrize("body", ["mlp", "conv"])
def test_capabilities_and_shapes(latent_dims: list[int], body: str) -> None:
    shape = (1, 8, 8)
    model, x = make(latent_dims, shape, body=body, channels=[3, 4]), images(5, shape)
    assert isinstance(model, HasObservationModel) and isinstance(model, HasLogWeights)
    assert isinstance(model, CanEncode) and isinstance(model, CanSample)
    z = model.prior_sample(5, generator())
    assert z.shape == model.encode(x).shape == (5, sum(latent_dims))
    for drawn in (model.sample(5, generator()), model.decoder_sample(z, generator())):
        assert drawn.shape == x.shape and set(drawn.unique().tolist()) == {0.0, 1.0}
    means = model.decode(model.encode(x)).detach()
    assert means.shape == x.shape and float(means.min()) > 0 and float(means.max()) < 1
    assert model.log_weights(x, 2, generator()).shape == (2, 5)


def test_features_of_two_layers_are_both_means() -> None:
    model, x = make([4, 2]), images()
    lower, upper = model.encode(x).split([4, 2], -1)
    torch.testing.assert_close(lower, model.posterior(x)[0])
    torch.testing.assert_close(upper, model.upper_posterior(lower)[0])


def test_posterior_of_one_layer_is_gaussian_and_of_two_is_not() -> None:
    model, x = make([3]), images()
    assert isinstance(model, HasGaussianPosterior)
    mean, log_variance = model.gaussian_posterior(x)
    torch.testing.assert_close(mean, model.encode(x))
    weights = model.log_weights(x, 1, generator())
    noise = torch.randn((1, 6, 3), generator=generator(), dtype=torch.float64)
    z = mean + (0.5 * log_variance).exp() * noise
    expected = model.decoder_log_prob(x, z) + model.prior_log_prob(z) - normal(mean, log_variance).log_prob(z)
    torch.testing.assert_close(weights, expected)
    with pytest.raises(CapabilityError, match="two stochastic layers is no diagonal Gaussian"):
        make([4, 2]).gaussian_posterior(x)


@BOTH
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_prepared_log_weights_are_the_log_weights(latent_dims: list[int], precision: torch.dtype) -> None:
    model = make(latent_dims, (1, 4, 4)).to(precision)
    model.use_training_mean(torch.linspace(0.05, 0.9, 16).reshape(1, 4, 4))
    x = images(6, (1, 4, 4)).to(precision)
    prepared = model.log_weights_of(x)
    for seed in (5, 6):
        expected = model.log_weights(x, 40, generator(seed))
        torch.testing.assert_close(prepared(40, generator(seed)), expected, rtol=2e-5, atol=2e-5)
