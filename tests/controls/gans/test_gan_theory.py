"""The game between known densities: quadrature against closed forms, and discriminators that are trained."""

from __future__ import annotations

import math

import pytest
import torch
from finding_checks import check, context, table, trace
from pydantic import ValidationError

from dgmbench.controls.gans.discriminators import DATA, GENERATED, GANTheorySettings
from dgmbench.controls.gans.known_densities import Game, Mixture
from dgmbench.controls.gans.theory import GANTheory
from dgmbench.data.dataset import Dataset

SMALL = {"width": 32, "steps": 400, "batch_size": 256, "draws": [30], "units": [1], "looks": [3, 30],
         "repetitions": 2}  # fmt: skip


def gaussian(*mean: float, deviation: float = 1.0) -> Mixture:
    return Mixture((1.0,), (mean,), (deviation,))


@pytest.mark.parametrize("dims", [1, 2])
def test_densities_have_mass_one_and_draws_of_their_moments(dims: int) -> None:
    game = Game.of(DATA[dims], GENERATED[dims])
    for density, mass in ((game.data, game.data_mass), (game.generated, game.generated_mass)):
        assert float(mass.sum()) == pytest.approx(1, abs=1e-5)
        draws = density.sample(100_000, torch.Generator().manual_seed(0)).double()
        mean = (mass[:, None] * game.points).sum(0)
        torch.testing.assert_close(draws.mean(0), mean, atol=0.02, rtol=0)
        spread = (mass[:, None] * (game.points - mean).square()).sum(0)
        torch.testing.assert_close(draws.var(0), spread, rtol=0.02, atol=0)


def test_the_density_is_that_of_torch() -> None:
    mixture = DATA[2]
    parts = [
        torch.distributions.MultivariateNormal(torch.tensor(mean), deviation**2 * torch.eye(2))
        for mean, deviation in zip(mixture.means, mixture.deviations, strict=True)
    ]
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([part.log_prob(x) for part in parts], 1) + torch.tensor(mixture.weights).log()
    torch.testing.assert_close(mixture.log_prob(x), expected.logsumexp(1))


@pytest.mark.parametrize("dims", [1, 2])
def test_the_value_at_the_optimum_is_its_closed_form(dims: int) -> None:
    game = Game.of(DATA[dims], GENERATED[dims])
    assert game.value(game.optimal_logits()) == pytest.approx(game.optimum(), abs=1e-9)
    assert game.error(game.optimal_logits()) == 0
    for shift in (-0.5, 0.3):
        assert game.value(game.optimal_logits() + shift) < game.optimum()
    equal = Game.of(DATA[dims], DATA[dims])
    assert equal.optimum() == pytest.approx(-math.log(4), abs=1e-5)
    assert equal.value(torch.zeros(len(equal.points))) == pytest.approx(-math.log(4), abs=1e-5)


def test_divergence_is_that_of_a_simulation_and_ends_at_log_2() -> None:
    game = Game.of(gaussian(0.0), gaussian(1.0, deviation=2.0))
    noise = torch.Generator().manual_seed(0)
    halves = []
    for density in (game.data, game.generated):
        x = density.sample(400_000, noise).double()
        logs = [each.log_prob(x) for each in (game.data, game.generated)]
        middle = torch.logaddexp(*logs) - math.log(2)
        halves.append(float((density.log_prob(x) - middle).mean()))
    assert game.divergence() == pytest.approx(sum(halves) / 2, abs=2e-3)
    apart = Game.of(gaussian(-5.0, deviation=0.3), gaussian(5.0, deviation=0.3))
    assert apart.divergence() == pytest.approx(math.log(2), abs=1e-6)


def test_the_generator_s_slopes_are_those_of_its_loss() -> None:
    game = Game.of(gaussian(-1.0), gaussian(1.0))

    def logits(x: torch.Tensor) -> torch.Tensor:
        return -2 * x[:, 0]

    found, step = game.generator_slopes(logits), 1e-4
    losses = {"minimax": lambda s: -torch.nn.functional.softplus(s),
              "non_saturating": lambda s: torch.nn.functional.softplus(-s)}  # fmt: skip
    for name, loss in losses.items():
        values = [float((game.generated_mass * loss(logits(game.points + sign * step))).sum())
                  for sign in (1, -1)]  # fmt: skip
        assert found[name] == pytest.approx(abs(values[0] - values[1]) / (2 * step), rel=1e-5)


def test_the_claim_is_borne_out(digits: Dataset) -> None:
    settings = GANTheorySettings.model_validate(SMALL | {"steps": 800, "width": 64})
    finding = GANTheory(settings).run(context("gan_theory", digits))
    check(finding)
    assert finding.outcome == "supported"
    values = table(finding)
    for name in ("1d", "2d", "1d_equal", "2d_equal"):
        (optimum,) = values[name, "game_value_optimum"]
        assert max(values[name, "discriminator_error"]) < 0.02
        assert all(abs(value - optimum) < 0.02 for value in values[name, "game_value"])
        assert all(value < optimum + 1e-6 for value in values[name, "game_value"])
    # Its own draws flatter a discriminator that has too few of them.
    assert min(values["draws_30", "game_value_training"]) > max(values["draws_30", "game_value"]) + 0.1
    early, late = (values[f"shift_steps_{step}", "generator_gradient_minimax"] for step in (3, 800))
    assert max(late) < min(values["shift_steps_800", "generator_gradient_non_saturating"]) / 5
    assert min(early) > 2 * max(late) and len(early) == 2


def test_a_training_that_is_too_short_is_not_taken_for_the_theory(digits: Dataset) -> None:
    settings = GANTheorySettings.model_validate(SMALL | {"steps": 5, "looks": [1]})
    finding = GANTheory(settings).run(context("gan_theory", digits))
    check(finding)
    assert finding.outcome != "supported"


def test_the_same_seed_gives_the_same_bytes(digits: Dataset) -> None:
    brief = GANTheory(GANTheorySettings.model_validate(SMALL | {"steps": 20}))
    first, again, other = (trace(brief.run(context("gan_theory", digits, None, seed))) for seed in (0, 0, 1))
    assert first == again and first != other


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"repetitions": 1}, {"draws": []}, {"tolerance": 0}):
        with pytest.raises(ValidationError):
            GANTheorySettings.model_validate(wrong)
