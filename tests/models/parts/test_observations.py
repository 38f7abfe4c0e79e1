from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from scipy.stats import logistic
from torch import Tensor

from dgmbench.models.parts.observation_settings import ObservationSettings
from dgmbench.models.parts.observations import (
    Bernoulli,
    DiscretisedLogistic,
    Gaussian,
    Observation,
    build_observation,
)

SHAPE = (2, 3, 4)
DIMS = math.prod(SHAPE)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def outputs(observation: Observation, *leading: int, spread: float = 1.0) -> Tensor:
    width = observation.outputs_per_pixel * DIMS
    return spread * torch.randn((*leading, width), generator=generator(1), dtype=torch.float64)


def build(view: str, levels: int = 17, **others: Any) -> Observation:
    settings = ObservationSettings.model_validate({"family": "x", "view": view} | others)
    return build_observation(settings, SHAPE, levels).double()


EVERY = [
    {"view": "binary"},
    *(
        {"view": "gray", "likelihood": likelihood, "variance": variance, "mean": mean}
        for likelihood in ("gaussian", "discretised_logistic")
        for variance, mean in (("network", "sigmoid"), ("pixel", "identity"), ("shared", "sigmoid"))
    ),
]


@pytest.mark.parametrize("settings", EVERY)
def test_shapes_and_domain(settings: dict[str, Any]) -> None:
    observation = build(**settings)
    output = outputs(observation, 5, 3)
    x = observation.sample(output, generator())
    assert x.shape == observation.mean(output).shape == (5, 3, *SHAPE)
    assert observation.log_prob(x[0], output).shape == (5, 3)
    scaled = observation.scaled(x)
    if not isinstance(observation, Gaussian):
        assert set(x.unique().tolist()) <= set(range(2 if isinstance(observation, Bernoulli) else 17))
        assert -1.0 <= float(scaled.min()) < float(scaled.max()) <= 1.0
    assert torch.equal(x, observation.sample(output, generator()))


def test_the_view_gives_the_default() -> None:
    assert isinstance(build("binary"), Bernoulli)
    assert isinstance(build("gray"), Gaussian)
    assert isinstance(build("gray", likelihood="discretised_logistic"), DiscretisedLogistic)


@pytest.mark.parametrize(
    ("view", "likelihood", "valid"),
    [
        ("binary", "gaussian", "binary images take: bernoulli"),
        ("binary", "discretised_logistic", "binary images take: bernoulli"),
        ("gray", "bernoulli", "gray images take: gaussian, discretised_logistic"),
    ],
)
def test_a_likelihood_of_the_other_view_is_refused(view: str, likelihood: str, valid: str) -> None:
    with pytest.raises(ValidationError, match=valid):
        build(view, likelihood=likelihood)


def test_bernoulli_is_that_of_torch() -> None:
    observation = build("binary")
    output = outputs(observation, 5, 3)
    x = observation.sample(output, generator())[0]
    expected = torch.distributions.Bernoulli(logits=output)
    torch.testing.assert_close(observation.log_prob(x, output), expected.log_prob(x.flatten(1)).sum(-1))
    torch.testing.assert_close(observation.mean(output).flatten(2), expected.probs)


@pytest.mark.parametrize("variance", ["network", "pixel", "shared"])
def test_gaussian_is_that_of_torch(variance: str) -> None:
    observation = build("gray", variance=variance)
    assert isinstance(observation, Gaussian)
    output = outputs(observation, 5, 3)
    mean, log_variance = observation.parameters_of(output)
    expected = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    x = observation.sample(output, generator())[0]
    torch.testing.assert_close(observation.log_prob(x, output), expected.log_prob(x.flatten(1)).sum(-1))


@pytest.mark.parametrize(
    ("likelihood", "least", "deviation"),
    [
        ("gaussian", 0.1, 0.1),
        ("gaussian", 0.0, 1 / (17 * math.sqrt(12))),
        ("discretised_logistic", 0.1, 0.1),
        ("discretised_logistic", 0.0, 0.05 / 16 * math.pi / math.sqrt(3)),
    ],
)
def test_spreads_keep_to_their_floor(likelihood: str, least: float, deviation: float) -> None:
    observation = build("gray", likelihood=likelihood, variance="shared", least_deviation=least)
    assert isinstance(observation, Gaussian | DiscretisedLogistic)
    with torch.no_grad():
        observation.raw_log_spread.fill_(-100.0)
    spread = observation.parameters_of(outputs(observation, 1))[1].detach()
    found = (0.5 * spread).exp() if likelihood == "gaussian" else spread.exp() * math.pi / math.sqrt(3)
    assert math.isclose(float(found), deviation, rel_tol=1e-6)


def log_masses(observation: Observation, output: Tensor, levels: int) -> Tensor:
    """log P(k) of one pixel's levels, for ``output [n, outputs]`` of an observation of one pixel."""
    x = torch.arange(levels).reshape(-1, 1, 1, 1)
    return observation.log_prob(x, output[:, None].expand(-1, levels, -1))


def one_pixel(levels: int, mean: str = "identity", dtype: torch.dtype = torch.float64) -> DiscretisedLogistic:
    return DiscretisedLogistic((1, 1, 1), levels, "network", 0.0, mean).to(dtype)


def raw_scale(observation: DiscretisedLogistic, scale: float) -> float:
    """The output whose scale is `scale`: the inverse of the soft floor."""
    above = math.log(scale) - observation.least_log_spread
    return observation.least_log_spread + above + math.log(-math.expm1(-above))


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_probabilities_of_all_levels_sum_to_one(levels: int) -> None:
    observation = one_pixel(levels)
    grid = [
        (location, raw_scale(observation, scale))
        for location in (-3.0, 0.0, 0.013, 0.5, 0.99, 2.0)
        for scale in (0.06 / (levels - 1), 0.01, 0.3, 5.0)
        if scale > 0.05 / (levels - 1)
    ]
    totals = log_masses(observation, torch.tensor(grid, dtype=torch.float64), levels).exp().sum(-1)
    torch.testing.assert_close(totals, torch.ones_like(totals), rtol=0, atol=1e-12)


def test_discretised_logistic_is_the_difference_of_scipy_s_distribution_functions() -> None:
    observation, levels = one_pixel(17), 17
    location, scale = 0.4, 0.07
    output = torch.tensor([[location, raw_scale(observation, scale)]], dtype=torch.float64)
    edges = (torch.arange(levels + 1, dtype=torch.float64) - 0.5) / (levels - 1)
    edges[0], edges[-1] = -math.inf, math.inf
    cumulative = torch.from_numpy(logistic.cdf(edges.numpy(), location, scale))
    torch.testing.assert_close(log_masses(observation, output, levels)[0].exp(), cumulative.diff())


def exact_log_mass(level: int, location: float, scale: float) -> float:
    """log P(level) of 256 levels, by the difference itself in 80 digits."""
    with localcontext() as context:
        context.prec = 80
        edges = [(level + half) / Decimal(255) for half in (Decimal("-0.5"), Decimal("0.5"))]
        below, above = (1 / (1 + ((Decimal(location) - edge) / Decimal(scale)).exp()) for edge in edges)
        return float(((1 if level == 255 else above) - (0 if level == 0 else below)).ln())


@pytest.mark.parametrize("level", [0, 1, 200, 254, 255])
def test_levels_far_out_in_a_tail_keep_their_digits_in_float32(level: int) -> None:
    observation = one_pixel(256, dtype=torch.float32)
    location, scale = 0.5, 0.004
    output = torch.tensor([[location, raw_scale(observation, scale)]], requires_grad=True)
    found = log_masses(observation, output, 256)[0, level]
    assert math.isclose(float(found.detach()), exact_log_mass(level, location, scale), rel_tol=1e-5)
    found.backward()
    assert output.grad is not None
    assert bool(torch.isfinite(output.grad).all())


def test_gradients_stay_finite_at_any_output() -> None:
    observation = one_pixel(256, "sigmoid", torch.float32)
    values = torch.tensor([-1e4, -30.0, 0.0, 30.0, 80.0])
    output = torch.cartesian_prod(values, values).requires_grad_()
    log_masses(observation, output, 256).sum().backward()
    assert output.grad is not None
    assert bool(torch.isfinite(output.grad).all())


def test_levels_are_drawn_with_their_probabilities_and_have_their_mean() -> None:
    observation, levels, n = one_pixel(9), 9, 200_000
    output = torch.tensor([[0.2, raw_scale(observation, 0.15)]], dtype=torch.float64)
    masses = log_masses(observation, output, levels)[0].exp()
    x = observation.sample(output.expand(n, -1), generator())
    counts = torch.bincount(x.flatten(), minlength=levels)
    assert len(counts) == levels
    deviations = (counts - n * masses) / (n * masses * (1 - masses)).sqrt()
    assert float(deviations.abs().max()) < 4
    expected = (masses * torch.arange(levels)).sum() / (levels - 1)
    torch.testing.assert_close(observation.mean(output).squeeze(), expected)


@pytest.mark.parametrize("settings", EVERY)
def test_samples_have_the_mean(settings: dict[str, Any]) -> None:
    observation = build(**settings)
    output = outputs(observation, 1)
    with torch.no_grad():
        draws = observation.sample(output.expand(40_000, -1), generator()).double()
        draws = draws / 16 if isinstance(observation, DiscretisedLogistic) else draws
        errors = draws.std(0) / math.sqrt(len(draws))
        assert float(((draws.mean(0) - observation.mean(output)[0]) / errors).abs().max()) < 4
