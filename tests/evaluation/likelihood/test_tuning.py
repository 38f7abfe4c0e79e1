"""Step sizes along the annealing path, on Gaussians whose curvature is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from dgmbench.evaluation.likelihood.annealing import annealed_log_likelihood
from dgmbench.evaluation.likelihood.annealing_path import Annealing, sigmoid_schedule
from dgmbench.evaluation.likelihood.bdmc import bidirectional_gap
from dgmbench.evaluation.likelihood.hmc import Block
from dgmbench.evaluation.likelihood.tuning import Steps, tuned_steps
from dgmbench.models.parts.densities import standard_normal_log_prob

NOISE = 0.02


class Spectrum:
    """x_i = a_i z_i + s e_i: posteriors as unlike each other as those of PPCA, from sharp to the prior."""

    def __init__(self, least: float = 0.005, latent_dim: int = 12) -> None:
        self.latent_dim = latent_dim
        self.scales = torch.logspace(math.log10(least), 0, latent_dim, dtype=torch.float64)

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, self.latent_dim, generator=generator, dtype=torch.float64)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        return standard_normal_log_prob(z)

    def decode(self, z: Tensor) -> Tensor:
        return self.scales * z

    def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        return Normal(self.decode(z), NOISE).log_prob(x).sum(-1)

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        return self.decode(z) + NOISE * torch.randn(z.shape, generator=generator, dtype=torch.float64)

    def data(self, n: int) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        return self.decoder_sample(self.prior_sample(n, generator), generator)

    def log_prob(self, x: Tensor) -> Tensor:
        return Normal(0.0, (self.scales**2 + NOISE**2).sqrt()).log_prob(x).sum(-1)

    def curvature(self, b: float) -> Tensor:
        """Of p(z) p(x|z)^b in each latent."""
        return 1 + b * (self.scales / NOISE) ** 2


def test_steps_are_a_quarter_turn_in_units_of_the_curvature_all_along_the_path() -> None:
    model, plan = Spectrum(), Annealing(4, 300, 5)
    block = Block(model, model.data(12), 0, plan.leapfrog_steps, seed=0)
    steps = tuned_steps(block, plan)
    schedule = sigmoid_schedule(300)
    for t in (1, 75, 150, 225, 300):
        expected = math.pi / 2 / 5 / model.curvature(schedule[t]).sqrt()
        ratio = steps.at(t, 300) / expected
        # Where the curvature rises fastest, steps are the shorter; nowhere are they longer.
        least = 0.4 if t == 1 else 0.75
        found = ratio.log().mean(0).exp()
        assert bool(((found > least) & (found < 1.25)).all())


def test_steps_are_shortened_to_the_target_acceptance() -> None:
    """One leapfrog step of a quarter turn is too long for many dimensions."""
    model = Spectrum(latent_dim=60)
    for target in (0.65, 0.9):
        plan = Annealing(8, 200, 1, target)
        acceptance = float(annealed_log_likelihood(model, model.data(3), plan).acceptance.mean())
        assert target - 0.05 < acceptance < target + 0.2


@pytest.mark.parametrize("t", [1, 2, 3, 9, 10])
def test_steps_between_knots_are_interpolated(t: int) -> None:
    knots = torch.arange(4.0).reshape(4, 1, 1)
    assert float(Steps(knots).at(t, 10)) == pytest.approx((t - 1) / 3)
    assert float(Steps(knots[:1]).at(t, 10)) == 0.0


def test_sharp_and_flat_latents_are_annealed_at_once() -> None:
    """One step size for all latents is that of the sharpest, and left 2.6 nats of these 20 images."""
    model = Spectrum()
    x = model.data(20)
    found = annealed_log_likelihood(model, x, Annealing(8, 300, 5)).estimates.values
    assert -1.2 < float((found - model.log_prob(x)).mean()) < 0.1


def test_the_weights_are_unbiased_with_tuned_steps_and_the_gap_holds_the_truth() -> None:
    model = Spectrum(least=0.01, latent_dim=3)
    x = model.data(1).expand(500, -1)
    plan = Annealing(4, 20, 3, block_points=500)
    ratio = (annealed_log_likelihood(model, x, plan).estimates.values - model.log_prob(x)).exp()
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / math.sqrt(len(x))
    gap = bidirectional_gap(model, 60, plan)
    assert gap.gaps.mean() > 3 * float(gap.gaps.std_error() or 0)
