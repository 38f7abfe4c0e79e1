"""Gradient estimates through discrete latents: bias against enumeration, variance, baselines, relaxation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from belief_networks import (
    MEAN,
    STRUCTURES,
    encoder,
    exact_bound_of_two,
    exact_elbo,
    flat_gradient,
    generator,
    images,
    make,
    model_parameters,
    states,
)
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.models.latent.discrete_gradients import Draws, Estimate, vimco, without_each
from dgmbench.models.latent.sigmoid_belief import Estimator, SigmoidBelief


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
