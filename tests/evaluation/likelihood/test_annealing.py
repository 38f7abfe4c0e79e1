"""Annealed importance sampling on models whose marginal is known, and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from dgmbench.blocks import BlockStore
from dgmbench.data.schema import image_schema
from dgmbench.errors import CapabilityError
from dgmbench.evaluation.likelihood.annealing import annealed_log_likelihood, check_capability
from dgmbench.evaluation.likelihood.annealing_path import Annealing, sigmoid_schedule
from dgmbench.evaluation.likelihood.bdmc import bidirectional_gap
from dgmbench.evaluation.likelihood.generator_noise import GaussianObservation, select_variance
from dgmbench.evaluation.likelihood.hmc import Block
from dgmbench.models.parts.densities import gaussian_log_prob, standard_normal_log_prob
from dgmbench.models.registry import family_class

LATENT, WIDTH = 3, 6


class Linear(nn.Module):
    """G(z) = W z + b with z ~ N(0, I): a generator without observation model."""

    latent_dim = LATENT

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(WIDTH, LATENT, generator=generator, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(WIDTH, generator=generator, dtype=torch.float64))

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, LATENT, generator=generator, dtype=torch.float64)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        return standard_normal_log_prob(z)

    def decode(self, z: Tensor) -> Tensor:
        return z @ self.weight.T + self.bias

    def marginal(self, variance: float) -> MultivariateNormal:
        with torch.no_grad():
            noise = variance * torch.eye(WIDTH, dtype=torch.float64)
            return MultivariateNormal(self.bias, self.weight @ self.weight.T + noise)


class LinearGaussian(Linear):
    """x|z ~ N(W z + b, s^2 I) as a full model of its own; counts calls and can be interrupted."""

    def __init__(self, deviation: float = 0.5) -> None:
        super().__init__()
        self.deviation, self.calls, self.stop_at = deviation, 0, math.inf

    def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        self.calls += 1
        if self.calls >= self.stop_at:
            raise KeyboardInterrupt
        return gaussian_log_prob(x, self.decode(z), torch.tensor(2 * math.log(self.deviation)))

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        means = self.decode(z)
        return means + self.deviation * torch.randn(means.shape, generator=generator, dtype=torch.float64)

    def data(self, n: int) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        return self.decoder_sample(self.prior_sample(n, generator), generator).detach()

    def log_prob(self, x: Tensor) -> Tensor:
        return self.marginal(self.deviation**2).log_prob(x)


def test_one_distribution_is_importance_sampling_from_the_prior() -> None:
    model = LinearGaussian()
    x = model.data(3)
    settings = Annealing(chains=5, distributions=1)
    found = annealed_log_likelihood(model, x, settings, seed=4).estimates.values
    drawn: list[Tensor] = []

    class Recorder(LinearGaussian):
        def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
            value = super().decoder_log_prob(x, z)
            drawn.append(value.detach())
            return value

    annealed_log_likelihood(Recorder(), x, settings, seed=4)
    # Before the chains move, the last densities of [chains, points] are those of the draws from the prior;
    # after them come the leapfrog steps of the one transition.
    first = drawn[-settings.leapfrog_steps - 1]
    assert torch.allclose(found, torch.logsumexp(first, 0) - math.log(5))


def test_more_distributions_tighten_the_bound_to_the_exact_marginal() -> None:
    model = LinearGaussian()
    x = model.data(40)
    exact = model.log_prob(x)
    gaps = []
    for distributions in (5, 50, 400):
        settings = Annealing(chains=8, distributions=distributions, leapfrog_steps=5)
        gaps.append((exact - annealed_log_likelihood(model, x, settings).estimates.values).detach())
    means = [float(gap.mean()) for gap in gaps]
    assert means[0] > means[1] > means[2]
    assert abs(means[2]) < 3 * float(gaps[2].std()) / math.sqrt(len(x)) + 0.01


def test_the_weights_are_unbiased_however_few_the_distributions() -> None:
    model = LinearGaussian(deviation=1.0)
    x = model.data(1).expand(600, -1)
    settings = Annealing(chains=4, distributions=20, leapfrog_steps=3, block_points=600)
    ratio = (annealed_log_likelihood(model, x, settings).estimates.values - model.log_prob(x)).detach().exp()
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / math.sqrt(len(x))


def test_forward_and_backward_bracket_the_truth() -> None:
    model = LinearGaussian()
    # Few distributions: with steps tuned along the path, 30 already leave a gap of half a nat only.
    settings = Annealing(chains=4, distributions=8, leapfrog_steps=5)
    found = bidirectional_gap(model, 60, settings, seed=2)
    assert found.gaps.mean() > 3 * float(found.gaps.std_error() or 0)
    tight = bidirectional_gap(model, 60, Annealing(chains=4, distributions=500, leapfrog_steps=5), seed=2)
    # The same images are simulated, so the tight bounds stand for the truth.
    assert found.lower.mean() < tight.lower.mean() <= tight.upper.mean() + 0.02 < found.upper.mean() + 0.02
    assert abs(tight.gaps.mean()) < 0.3 < found.gaps.mean() / 3


def test_transitions_leave_the_posterior_where_it_is() -> None:
    model = LinearGaussian()
    x = model.data(1)
    with torch.no_grad():
        precision = (
            torch.eye(LATENT, dtype=torch.float64) + model.weight.T @ model.weight / model.deviation**2
        )
        covariance = torch.linalg.inv(precision)
        mean = (x - model.bias) @ model.weight @ covariance / model.deviation**2
    exact = MultivariateNormal(mean[0], covariance)
    torch.manual_seed(0)
    block = Block(model, x, 0, leapfrog_steps=4, seed=0)
    chains = block.start(4000)
    chains.z = exact.sample((4000, 1))
    chains.log_lik, chains.log_prior, chains.grad_lik, chains.grad_prior = block.densities(chains.z)
    momenta, uniforms = block.noise("up", 0, 4000, 10)
    for momentum, uniform in zip(momenta, uniforms, strict=True):
        block.transition(chains, 1.0, torch.tensor([[0.25]], dtype=torch.float64), momentum, uniform)
    assert 0.5 < float(chains.acceptance) / 10 < 0.99
    after = chains.z[:, 0]
    scale = covariance.diagonal().sqrt()
    assert bool(((after.mean(0) - mean[0]).abs() < 4 * scale / math.sqrt(4000)).all())
    assert torch.allclose(torch.cov(after.T), covariance, atol=5 * float(covariance.diagonal().max()) / 60)


def test_neither_the_block_nor_the_neighbours_change_a_value() -> None:
    model = LinearGaussian()
    x = model.data(7)
    values = [
        annealed_log_likelihood(model, x, Annealing(4, 60, 5, block_points=size), seed=3).estimates.values
        for size in (1, 3, 7, 7)
    ]
    assert torch.allclose(values[0], values[2], atol=1e-5) and torch.allclose(values[1], values[2], atol=1e-5)
    assert values[2].numpy().tobytes() == values[3].numpy().tobytes()
    alone = annealed_log_likelihood(model, x[:2], Annealing(4, 60, 5), seed=3).estimates.values
    assert torch.allclose(alone, values[2][:2], atol=1e-5)
    other = annealed_log_likelihood(model, x, Annealing(4, 60, 5), seed=4).estimates.values
    assert not torch.allclose(other, values[2], atol=1e-3)


@pytest.mark.parametrize("fraction", [0.45, 0.7, 0.95])
def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path: Path, fraction: float) -> None:
    settings = Annealing(chains=3, distributions=70, leapfrog_steps=2, block_points=2)
    x = LinearGaussian().data(4)
    whole = LinearGaussian()
    expected = annealed_log_likelihood(whole, x, settings, seed=1)
    model = LinearGaussian()
    model.stop_at = int(fraction * whole.calls)
    with pytest.raises(KeyboardInterrupt), BlockStore(tmp_path / "store.pt", "f", seconds=0.0) as store:
        annealed_log_likelihood(model, x, settings, seed=1, resume=store)
    again = LinearGaussian()
    with BlockStore(tmp_path / "store.pt", "f") as store:
        found = annealed_log_likelihood(again, x, settings, seed=1, resume=store)
    assert again.calls < whole.calls
    assert found.estimates.values.numpy().tobytes() == expected.estimates.values.numpy().tobytes()
    assert torch.equal(found.acceptance, expected.acceptance)


@pytest.mark.parametrize("truth", [0.04, 0.0225, 0.0126])
def test_the_variance_of_a_generator_is_found_between_the_points_of_the_grid(truth: float) -> None:
    """The exact score is known: what is lost to the grid is less than a hundredth of a nat a pixel."""
    generator = Linear()
    draws = torch.Generator().manual_seed(3)
    valid = (
        GaussianObservation(generator, truth)
        .decoder_sample(generator.prior_sample(60, draws), draws)
        .detach()
    )

    def exact(variance: float) -> float:
        return float(generator.marginal(variance).log_prob(valid).mean().detach())

    grid = [0.0004, 0.004, 0.04, 0.4]
    # Annealing is looser for small variances, which favours large ones; this much of it hardly does.
    choice = select_variance(generator, valid, grid, Annealing(16, 400, 5))
    assert not choice.at_edge and list(choice.grid) == sorted(choice.grid)
    assert choice.variance == choice.grid[choice.scores.index(max(choice.scores))]
    best = max(exact(0.0004 * 1.05**i) for i in range(140))
    assert exact(choice.variance) > best - 0.01 * WIDTH
    for variance, score in zip(choice.grid, choice.scores, strict=True):
        assert score < exact(variance) + 0.05


def test_a_variance_at_the_edge_of_the_grid_is_told() -> None:
    generator = Linear()
    valid = 50 * torch.randn(20, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    choice = select_variance(generator, valid, [0.001, 0.01, 0.1], Annealing(2, 30, 5))
    assert choice.at_edge and choice.variance == pytest.approx(0.1)
    alone = select_variance(generator, valid, [0.1], Annealing(2, 30, 5))
    assert alone.at_edge and alone.grid == (pytest.approx(0.1),)


def test_a_generator_with_noise_is_the_linear_gaussian() -> None:
    generator, x = Linear(), LinearGaussian().data(30)
    found = annealed_log_likelihood(GaussianObservation(generator, 0.25), x, Annealing(8, 400, 5))
    difference = (found.estimates.values - generator.marginal(0.25).log_prob(x)).detach()
    assert abs(float(difference.mean())) < 3 * float(difference.std()) / math.sqrt(len(x)) + 0.02


def test_parameters_and_the_global_generator_are_left_alone() -> None:
    model = LinearGaussian()
    before = torch.random.get_rng_state()
    annealed_log_likelihood(model, model.data(2), Annealing(2, 3, 2))
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_schedule_rises_from_nought_to_one_and_is_dense_at_both_ends() -> None:
    schedule = torch.tensor(sigmoid_schedule(100), dtype=torch.float64)
    steps = schedule.diff()
    assert len(schedule) == 101 and schedule[0] == 0 and schedule[-1] == 1
    assert bool((steps > 0).all()) and steps[0] < steps[50] / 5 and torch.allclose(steps, steps.flip(0))
    # Wu et al. 2017: logistic of t between -4 and 4, shifted and scaled.
    low, mid = 1 / (1 + math.exp(4)), 1 / (1 + math.exp(2))
    assert math.isclose(sigmoid_schedule(4)[1], (mid - low) / (1 - 2 * low))


def test_a_trajectory_that_leaves_the_floats_is_rejected() -> None:
    class Steep(LinearGaussian):
        def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
            return -1e120 * z.pow(4).sum(-1)

    found = annealed_log_likelihood(Steep(), LinearGaussian().data(2), Annealing(2, 20, 4))
    assert bool(torch.isfinite(found.acceptance).all()) and bool(torch.isfinite(found.estimates.values).all())


def test_a_density_that_is_not_a_number_is_an_error() -> None:
    class Broken(LinearGaussian):
        def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
            return super().decoder_log_prob(x, z) * math.nan

    with pytest.raises(ValueError, match="NaN for 2 of 2 images"):
        annealed_log_likelihood(Broken(), LinearGaussian().data(2), Annealing(2, 20, 4))


def test_impossible_requests_say_why_and_what_works_instead() -> None:
    class NoLatents(nn.Module):
        pass

    with pytest.raises(CapabilityError, match=r"no latents.*log_prob \(exact\) or the Parzen"):
        check_capability(NoLatents())
    with pytest.raises(CapabilityError, match=r"GaussianObservation\(model, variance\)"):
        annealed_log_likelihood(Linear(), torch.zeros(1, WIDTH), Annealing())
    with pytest.raises(CapabilityError, match=r"grid of variances is empty; np\.logspace"):
        select_variance(Linear(), torch.zeros(1, WIDTH), [], Annealing())
    with pytest.raises(CapabilityError, match=r"variance .* positive, not 0"):
        GaussianObservation(Linear(), 0.0)
    with pytest.raises(ValueError, match="no images"):
        annealed_log_likelihood(LinearGaussian(), torch.zeros(0, WIDTH), Annealing())
    with pytest.raises(ValueError, match="at least one simulated image"):
        bidirectional_gap(LinearGaussian(), 0, Annealing())


def test_models_without_a_decoder_are_named() -> None:
    family = family_class("pixelcnn")
    model = family(family.Settings(family="pixelcnn", view="binary"), image_schema((1, 4, 4), 2))
    with pytest.raises(CapabilityError, match="PixelCNN has"):
        annealed_log_likelihood(model, torch.zeros(1, 1, 4, 4), Annealing())


@pytest.mark.parametrize(
    "name", ["chains", "distributions", "leapfrog_steps", "pilot_chains", "block_points"]
)
def test_counts_below_one_are_refused(name: str) -> None:
    with pytest.raises(CapabilityError, match=f"{name} >= 1, not 0"):
        Annealing(**{name: 0})


@pytest.mark.parametrize(("name", "value"), [("target_acceptance", 1.0), ("pilot_share", 0.0)])
def test_shares_outside_their_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(CapabilityError, match=name):
        Annealing(**{name: value})


def test_a_gaussian_density_of_a_bernoulli_model_is_refused() -> None:
    family = family_class("vae")
    model: Any = family(family.Settings(family="vae", view="binary"), image_schema((1, 4, 4), 2))
    with pytest.raises(CapabilityError, match=r"binary images.*Bernoulli decoder, or importance sampling"):
        GaussianObservation(model, 0.1)
    with pytest.raises(CapabilityError, match="binary images"):
        select_variance(model, torch.zeros(1, 1, 4, 4), [0.1], Annealing())


def test_what_a_store_holds_of_another_call_is_not_taken(tmp_path: Path) -> None:
    model, plan = LinearGaussian(), Annealing(2, 10, 2)
    x = model.data(2)
    with BlockStore(tmp_path / "store.pt", "f") as store:
        annealed_log_likelihood(model, x, plan, seed=0, resume=store)
        for other, seed in ((plan, 1), (Annealing(2, 20, 2), 0), (Annealing(3, 10, 2), 0)):
            found = annealed_log_likelihood(model, x, other, seed=seed, resume=store).estimates.values
            assert torch.equal(found, annealed_log_likelihood(model, x, other, seed=seed).estimates.values)
