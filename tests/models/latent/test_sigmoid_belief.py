from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
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
from dgmbench.models.latent.discrete_gradients import Draws, Estimate, vimco, without_each
from dgmbench.models.latent.sigmoid_belief import Estimator, SigmoidBelief, SigmoidBeliefSettings

UNITS = 3
STRUCTURES = pytest.mark.parametrize("structure", ["linear", "nonlinear", "two_layers"])
MEAN = torch.tensor([[[0.2, 0.4], [0.7, 0.5]]], dtype=torch.float64)


def make(
    structure: str = "linear", *, shape: tuple[int, int, int] = (1, 2, 2), **settings: Any
) -> SigmoidBelief:
    base = {"family": "sigmoid_belief", "view": "binary", "hidden": [5], "baseline_hidden": [4]}
    block = base | {"structure": structure, "units": UNITS} | settings
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SigmoidBelief(SigmoidBeliefSettings.model_validate(block), image_schema(shape, 17)).double()
        for parameter in model.parameters():
            # Away from the start, where biases are zero and prior and posterior much alike.
            parameter.data += 0.5 * torch.randn_like(parameter)
    if shape == MEAN.shape:
        model.use_training_mean(MEAN)
    return model


def images(n: int = 4, shape: tuple[int, int, int] = (1, 2, 2)) -> Tensor:
    uniform = torch.rand((n, *shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (uniform < 0.5).double()


def generator(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def states(units: int) -> Tensor:
    """All ``[2^units, units]`` zeros and ones."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=units)), dtype=torch.float64)


def product(logits: Tensor) -> Independent:
    return Independent(Bernoulli(logits=logits), 1)


def enumerated(model: SigmoidBelief, x: Tensor) -> tuple[Tensor, Tensor]:
    """log p(x, h) and log q(h|x) of every h, each ``[2^(all latents), n]``, by torch's distributions."""
    h = states(model.latent_dim)[:, None].expand(-1, len(x), -1).split(UNITS, -1)
    centred = x - model.mean.reshape(x.shape[1:])
    log_q = product(model.recognition[0](centred).expand(len(h[0]), -1, -1)).log_prob(h[0])
    output = model.generation[0](2 * h[0] - 1) + torch.log(model.mean / (1 - model.mean))
    log_p = product(output).log_prob(x.flatten(1)) + product(model.prior_logits).log_prob(h[-1])
    if len(h) == 2:
        log_q = log_q + product(model.recognition[1](2 * h[0] - 1)).log_prob(h[1])
        log_p = log_p + product(model.generation[1](2 * h[1] - 1)).log_prob(h[0])
    return log_p, log_q


def exact_elbo(model: SigmoidBelief, x: Tensor) -> Tensor:
    log_p, log_q = enumerated(model, x)
    return (log_q.exp() * (log_p - log_q)).sum(0).mean()


def exact_bound_of_two(model: SigmoidBelief, x: Tensor) -> Tensor:
    """L_2, over all pairs of states."""
    log_p, log_q = enumerated(model, x)
    log_w = log_p - log_q
    pairs = torch.logaddexp(log_w[:, None], log_w[None]) - math.log(2)
    return ((log_q[:, None] + log_q[None]).exp() * pairs).sum((0, 1)).mean()


def flat_gradient(value: Tensor, parameters: list[Tensor]) -> Tensor:
    found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    parts = [
        torch.zeros_like(own) if part is None else part for own, part in zip(parameters, found, strict=True)
    ]
    return torch.cat([part.flatten() for part in parts])


def encoder(model: SigmoidBelief) -> list[Tensor]:
    return list(model.recognition.parameters())


def model_parameters(model: SigmoidBelief) -> list[Tensor]:
    """All of p and q, without the baselines."""
    return [own for name, own in model.named_parameters() if not name.startswith("nvil")]


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


def mean_gradient(estimate: Callable[[Tensor], Estimate], parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean of the estimated gradient and its standard error, from 200 blocks of 200 copies of the images."""
    copies = images().repeat(200, 1, 1, 1)
    found = torch.stack([flat_gradient(estimate(copies).surrogate, parameters) for _ in range(200)])
    return found.mean(0), found.std(0) / math.sqrt(len(found))


def assert_unbiased(mean: Tensor, error: Tensor, exact: Tensor) -> None:
    """Agreement within three standard errors along the exact gradient, and z-scores as chance has them."""
    direction = exact / exact.norm()
    along = float(((mean - exact) * direction).sum() / (error * direction).norm())
    moved = error > 0
    assert bool(moved.any()) and torch.allclose(mean[~moved], exact[~moved], atol=1e-12)
    scores = ((mean - exact) / error)[moved]
    assert abs(along) < 3
    assert float(scores.abs().max()) < 4.5
    assert float(scores.square().mean()) < 2
    # A value near zero would prove little.
    assert float(exact.norm()) > 10 * float(error.norm())


@STRUCTURES
@pytest.mark.parametrize("estimator", ["reinforce", "vimco"])
def test_mean_gradient_is_that_of_the_enumerated_bound(structure: str, estimator: Estimator) -> None:
    model, noise = make(structure, samples=2), generator()
    bound = exact_bound_of_two if estimator == "vimco" else exact_elbo
    parameters = model_parameters(model)
    exact = flat_gradient(bound(model, images()), parameters)
    found = mean_gradient(lambda copies: model.estimate(copies, estimator, noise), parameters)
    assert_unbiased(*found, exact)


def test_mean_gradient_of_the_multi_sample_bound_is_the_same_without_baselines() -> None:
    model, noise = make(), generator()
    parameters = model_parameters(model)
    exact = flat_gradient(exact_bound_of_two(model, images()), parameters)
    found = mean_gradient(lambda copies: vimco(model.draw(copies, 2, noise), baseline=False), parameters)
    assert_unbiased(*found, exact)


@STRUCTURES
def test_mean_gradient_of_nvil_is_that_of_the_enumerated_elbo_over_its_scales(structure: str) -> None:
    model, noise = make(structure, estimator="nvil", samples=1), generator()
    assert model.nvil is not None
    model.nvil.steps += 1
    model.nvil.mean.fill_(-2.5)
    model.nvil.variance.copy_(torch.tensor([4.0, 9.0])[: len(model.nvil.variance)])
    model.eval()
    elbo_value = exact_elbo(model, images())
    parts = [
        (list(network.parameters()), scale)
        for network, scale in zip(model.recognition, (2.0, 3.0), strict=False)
    ]
    for parameters, scale in [*parts, ([*model.generation.parameters(), model.prior_logits], 1.0)]:
        exact = flat_gradient(elbo_value, parameters) / scale
        found = mean_gradient(lambda copies: model.estimate(copies, "nvil", noise), parameters)
        assert_unbiased(*found, exact)


def trained(structure: str, steps: int = 150) -> tuple[SigmoidBelief, Tensor]:
    """A model after some steps of NVIL on stripes, and the stripes."""
    model = make(structure, shape=(1, 4, 4), estimator="nvil", samples=4)
    rows = states(4)[1:-1]
    x = rows[:, None, :, None].expand(-1, 1, 4, 4).contiguous()
    optimiser, noise = torch.optim.Adam(model.parameters(), 0.01), generator()
    for _ in range(steps):
        optimiser.zero_grad()
        model.step(Batch(x), "model", noise)["loss"].backward()
        optimiser.step()
    return model.eval(), x


def variance(model: SigmoidBelief, estimate: Callable[[], Estimate]) -> float:
    """Variance of the encoder's gradient, summed over parameters."""
    found = torch.stack([flat_gradient(estimate().surrogate, encoder(model)) for _ in range(150)])
    return float(found.var(0).sum())


@pytest.mark.parametrize("structure", ["linear", "two_layers"])
def test_baselines_lower_the_variance_of_a_trained_model(structure: str) -> None:
    model, x = trained(structure)
    with torch.no_grad():
        bound = float(model.log_weights(x, 100, generator()).mean())
    assert bound > -0.9 * 16 * math.log(2)
    assert model.nvil is not None
    noise = generator()
    plain = variance(model, lambda: model.estimate(x, "reinforce", noise))
    # The scale that NVIL divides its signal by is no merit of its own.
    scale = float(model.nvil.variance.max().sqrt().clamp_min(1.0))
    assert scale**2 * variance(model, lambda: model.estimate(x, "nvil", noise)) < plain / 2
    bare = variance(model, lambda: vimco(model.draw(x, 4, noise), baseline=False))
    assert variance(model, lambda: model.estimate(x, "vimco", noise)) < bare / 2


def test_relaxed_bound_tends_to_the_elbo_as_the_temperature_falls() -> None:
    for structure in ("linear", "two_layers"):
        model, x = make(structure, estimator="concrete", samples=20_000), images()
        gaps = []
        for model.temperature in (2.0, 0.5, 0.02):
            with torch.no_grad():
                relaxed = model.estimate(x, "concrete", generator()).bound
                gaps.append(abs(float(relaxed - exact_elbo(model, x))))
        assert gaps[0] > gaps[1] > gaps[2]
        assert gaps[2] < 0.02 < gaps[0]


def test_relaxed_gradient_is_biased_and_less_so_at_lower_temperatures() -> None:
    model, x = make(estimator="concrete", samples=20_000), images()
    exact, off = flat_gradient(exact_elbo(model, x), encoder(model)), []
    for model.temperature in (1.0, 0.1):
        found = flat_gradient(model.estimate(x, "concrete", generator()).surrogate, encoder(model))
        off.append(float((found - exact).norm() / exact.norm()))
    assert off[1] < 0.1 < off[0]


def test_left_out_draws_are_replaced_by_the_geometric_mean_of_the_others() -> None:
    log_w = torch.randn(4, 5, generator=generator(), dtype=torch.float64)
    copies = without_each(log_w)
    for j, n in itertools.product(range(4), range(5)):
        w = log_w[:, n].exp()
        w[j] = torch.cat([w[:j], w[j + 1 :]]).prod() ** (1 / 3)
        torch.testing.assert_close(copies[:, j, n].exp(), w)


def test_vimco_weights_each_score_by_what_its_draw_adds() -> None:
    log_w, log_q = torch.randn(2, 3, 1, generator=generator(), dtype=torch.float64)
    log_q.requires_grad_()
    found = torch.autograd.grad(vimco(Draws([], [log_w + log_q.detach()], [log_q])).surrogate, log_q)[0]
    w = log_w.exp()
    for j in range(3):
        others = [i for i in range(3) if i != j]
        stand_in = math.sqrt(float(w[others].prod()))
        added = math.log(float(w.sum())) - math.log(float(w[others].sum()) + stand_in)
        # The second term is that of log w_j = log p - log q itself, by its normalised weight.
        assert float(found[j]) == pytest.approx(added - float(w[j] / w.sum()), rel=1e-9)


def test_running_moments_move_in_training_alone_and_are_part_of_the_state() -> None:
    model, x = make(estimator="nvil"), images()
    assert model.nvil is not None
    residual = model.draw(x, 5, generator()).log_weights() - model.nvil.baselines[0](
        x.flatten(1) - MEAN.flatten()
    ).squeeze(-1)
    first = model.step(Batch(x), "model", generator())
    assert float(model.nvil.mean) == pytest.approx(0.2 * 0 + float(residual.detach().mean()), rel=1e-6)
    assert int(model.nvil.steps) == 1
    model.step(Batch(x), "model", generator(6))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.eval().step(Batch(x), "model", generator())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    copy = make(estimator="nvil")
    copy.load_state_dict(before)
    copy.eval()
    gradients = [
        flat_gradient(own.step(Batch(x), "model", generator())["loss"], encoder(own)) for own in (model, copy)
    ]
    assert torch.equal(*gradients)
    assert math.isfinite(float(first["loss"].detach()))


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
