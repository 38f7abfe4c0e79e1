"""Noise of gradients: the measure on known noise, estimators of one mean, and what makes the outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest
import torch
from finding_checks import check, context, table, trace
from pydantic import ValidationError
from torch import Tensor, nn

from dgmbench.controls.control import Context
from dgmbench.controls.gradients.noise import Measured, measure, squared_bias
from dgmbench.controls.gradients.variance import (
    CLAIMED,
    REFERENCES,
    GradientVariance,
    GradientVarianceSettings,
    gaussian_draws,
)
from dgmbench.data.dataset import Dataset
from dgmbench.data.schema import image_schema
from dgmbench.models.latent.discrete_gradients import reinforce
from dgmbench.models.latent.iwae import IWAE, IWAESettings

SMALL = {
    "units": 10,
    "latent_dim": 4,
    "hidden": [20],
    "steps": 100,
    "batch_size": 20,
    "draws": 40,
    "repetitions": 2,
}


def control(**settings: object) -> GradientVariance:
    return GradientVariance(GradientVarianceSettings.model_validate(SMALL | settings))


def noisy_linear(mean: float, deviation: float, inputs: int = 50) -> tuple[nn.Module, Callable[..., Tensor]]:
    """A layer, and a scalar whose gradient in it is `inputs` + 1 Gaussians of that mean and deviation."""
    layer = nn.Linear(inputs, 1).double()

    def estimate(generator: torch.Generator) -> Tensor:
        noise = mean + deviation * torch.randn(inputs + 1, generator=generator, dtype=torch.float64)
        return (torch.cat([layer.weight[0], layer.bias]) * noise).sum()

    return layer, estimate


def measured(mean: float, deviation: float, draws: int = 2000, seed: int = 0) -> Measured:
    layer, estimate = noisy_linear(mean, deviation)
    return measure(estimate, layer, draws, torch.Generator().manual_seed(seed))


def test_variance_of_known_noise() -> None:
    found = measured(0.3, 2.0)
    # 51 variances of 4; a sum of 51 squares of N(0, 4) has the variance 51 * 2 * 16.
    assert found.std_error == pytest.approx(math.sqrt(51 * 2 * 16 / 2000), rel=0.1)
    assert abs(found.variance - 51 * 4) < 3 * found.std_error
    assert found.squared_length == pytest.approx(51 * 0.09, rel=0.15)
    assert measured(0.0, 1.0).squared_length < 0.05


def test_squared_length_is_without_bias_where_it_can_be_told_from_zero() -> None:
    values = [measured(0.2, 1.0, draws=20, seed=seed).squared_length for seed in range(200)]
    # The squared mean alone would come out at 2.04 + 51 / 20.
    error = float(torch.tensor(values).std()) / math.sqrt(len(values))
    assert abs(sum(values) / len(values) - 51 * 0.04) < 4 * error < 0.5


def test_bias_is_the_distance_of_the_means_in_units_of_the_length() -> None:
    reference = measured(1.0, 0.5)
    assert squared_bias(measured(1.3, 2.0, seed=1), reference) == pytest.approx(0.09, abs=0.01)
    assert abs(squared_bias(measured(1.0, 0.5, seed=2), reference)) < 0.001


def test_score_function_and_reparameterisation_have_one_mean() -> None:
    settings = IWAESettings(family="iwae", view="binary", latent_dims=[2], hidden=[3])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = IWAE(settings, image_schema((1, 2, 2), 2)).double()
    x = torch.tensor([[1.0, 0, 0, 1], [0, 1, 1, 1]], dtype=torch.float64).reshape(2, 1, 2, 2)
    noise = torch.Generator().manual_seed(1)
    score = measure(
        lambda g: reinforce(gaussian_draws(model, x, 500, g)).surrogate, model.posterior, 400, noise
    )
    calm = measure(lambda g: model.log_weights(x, 500, g).mean(), model.posterior, 400, noise)
    assert_same_mean(score, calm)
    assert score.variance > 2 * calm.variance


def assert_same_mean(first: Measured, second: Measured) -> None:
    """The squared distance of the means is what chance makes of it."""
    chance = (first.variance + second.variance) / len(first.distances)
    squared = float((first.mean - second.mean).square().sum())
    assert squared < 2.5 * chance
    assert second.squared_length > 20 * chance


def test_nvil_and_reinforce_have_one_mean_on_the_trained_model(digits: Dataset) -> None:
    about, one = context("gradient_variance", digits), control(steps=30)
    belief, _ = one._models(about, 0)
    images, noise = about.raw("train"), about.generator("test")
    one._train(belief, images, digits.levels, noise)
    x = one._minibatch(images, digits.levels, noise)[:2].repeat(100, 1, 1, 1)
    estimators = one._of_bernoulli(belief, x)
    plain, calm = (
        measure(estimators[name], belief.recognition, 40, about.generator(name))
        for name in ("reinforce", "nvil")
    )
    chance = (plain.variance + calm.variance) / 40
    assert float((plain.mean - calm.mean).square().sum()) < 2 * chance < calm.squared_length
    # Before training the signal's mean is about the ELBO, and all of it is noise to REINFORCE.
    assert plain.variance > 4 * calm.variance


def test_digits_bear_the_claim_out(digits: Dataset) -> None:
    finding = control().run(context("gradient_variance", digits))
    check(finding)
    assert finding.outcome == "supported"
    assert {row.view for row in finding.records} == {"binary"}
    values = table(finding)
    for name, reference in REFERENCES.items():
        for variance, relative, own, other in zip(
            values[name, "gradient_variance"],
            values[name, "gradient_relative_variance"],
            values[reference, "gradient_variance"],
            values[reference, "gradient_relative_variance"],
            strict=True,
        ):
            assert variance / own == pytest.approx(relative / other)
    for noisy, calm in CLAIMED.items():
        assert min(values[noisy, "gradient_variance"]) > 2 * max(values[calm, "gradient_variance"])
    # Hotter is calmer, and more biased.
    hot = table(control(temperature=2.0).run(context("gradient_variance", digits)))
    assert hot["concrete", "gradient_variance"] < values["concrete", "gradient_variance"]
    assert sum(hot["concrete", "gradient_squared_bias"]) > 0.2
    assert sum(hot["concrete", "gradient_squared_bias"]) > sum(values["concrete", "gradient_squared_bias"])


def test_the_same_seed_gives_the_same_bytes(digits: Dataset) -> None:
    brief = control(steps=5, draws=10)
    first, again, other = (
        trace(brief.run(context("gradient_variance", digits, None, seed))) for seed in (0, 0, 1)
    )
    assert first == again and first != other


class Fabricated(GradientVariance):
    """Measurements as given, by the deviation of each estimator and repetition."""

    deviations: Mapping[str, tuple[float, float]]

    def _repeat(self, context: Context, repetition: int) -> dict[str, Measured]:
        return {name: measured(1.0, self.deviations[name][repetition], draws=40) for name in REFERENCES}


@pytest.mark.parametrize(
    ("score", "outcome"),
    [((3.0, 3.1), "supported"), ((0.3, 0.31), "contradicted"), ((0.5, 2.0), "undecided")],
)
def test_outcome_follows_from_the_measurements(
    score: tuple[float, float], outcome: str, digits: Dataset
) -> None:
    settings = GradientVarianceSettings.model_validate(SMALL)
    one = Fabricated(settings)
    one.deviations = dict.fromkeys(REFERENCES, (1.0, 1.01))
    one.deviations |= {"reinforce": (10.0, 10.1), "bare": (10.0, 10.1), "score": score}
    finding = one.run(context("gradient_variance", digits))
    check(finding)
    assert finding.outcome == outcome
    assert "REINFORCE 100 times NVIL" in finding.sentence
    assert "cannot be distinguished from 0" in finding.sentence


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"samples": 1}, {"repetitions": 1}, {"draws": 5}, {"temperature": 0}):
        with pytest.raises(ValidationError):
            control(**wrong)
