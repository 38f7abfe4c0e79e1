"""The class-conditional VAE: bounds of p(x|y), an unbiased p(x), and samples of the class asked for."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.capabilities import (
    HasLogWeights,
    HasObservationModel,
    PreparesLogWeights,
    SamplesGivenCondition,
)
from dgmbench.models.conditional.conditional_vae import ConditionalVAE, ConditionalVAESettings
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Part
from dgmbench.training.outcome import How

SHAPE, CLASSES = (1, 3, 3), 3


def make(view: str = "binary", **settings: Any) -> ConditionalVAE:
    base = {"family": "conditional_vae", "view": view, "latent_dim": 2, "hidden": [7], "channels": [3]}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        schema = image_schema(SHAPE, 17, CLASSES)
        return ConditionalVAE(ConditionalVAESettings.model_validate(base | settings), schema).double()


def generator(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 6) -> Tensor:
    return (torch.rand((n, *SHAPE), generator=generator(1), dtype=torch.float64) < 0.5).double()


def exact(model: ConditionalVAE, x: Tensor, y: Tensor) -> Tensor:
    """log p(x|y) by quadrature over both latents."""
    grid = torch.linspace(-7, 7, 281, dtype=torch.float64)
    z = torch.cartesian_prod(grid, grid)[:, None].expand(-1, len(x), -1)
    prior = -0.5 * z.square().sum(-1) - math.log(2 * math.pi) + 2 * math.log(14 / 280)
    log_x = model.observation.log_prob(x, model.decoder_outputs(z, y))
    return torch.logsumexp(log_x + prior, 0)


def test_draws_of_one_latent_and_class_average_to_its_mean_image() -> None:
    model, y = make(), torch.full((50_000,), 2)
    z = model.prior_sample(1, generator())
    draws = model.decoder_sample_given(z.expand(len(y), -1), y, generator())
    torch.testing.assert_close(draws.mean(0), model.decode_given(z, y[:1])[0].detach(), atol=0.01, rtol=0)


def test_weights_given_a_class_average_to_its_likelihood() -> None:
    model, x = make(), images()
    y = torch.arange(len(x)) % CLASSES
    with torch.no_grad():
        log_w = model.log_weights_given(x, y, 20_000, generator())
        found = torch.logsumexp(log_w, 0) - math.log(len(log_w))
        torch.testing.assert_close(found, exact(model, x, y), atol=0.03, rtol=0)


def test_weights_without_a_class_average_to_the_mean_over_classes() -> None:
    model, x = make(), images()
    with torch.no_grad():
        log_w = model.log_weights(x, 20_000, generator())
        found = torch.logsumexp(log_w, 0) - math.log(len(log_w))
        each = torch.stack([exact(model, x, torch.full((len(x),), y)) for y in range(CLASSES)])
        torch.testing.assert_close(found, torch.logsumexp(each, 0) - math.log(CLASSES), atol=0.03, rtol=0)


@pytest.mark.parametrize("view", ["binary", "gray"])
def test_prepared_weights_are_the_weights(view: str) -> None:
    model, x = make(view), images() if view == "binary" else 0.1 + 0.5 * images()
    with torch.no_grad():
        expected = model.log_weights(x, 30, generator())
    torch.testing.assert_close(model.log_weights_of(x)(30, generator()), expected, rtol=2e-5, atol=2e-5)


def test_the_loss_is_a_bound_of_the_likelihood_given_the_class() -> None:
    model, x = make(), images()
    y = torch.arange(len(x)) % CLASSES
    with torch.no_grad():
        draws = [
            float(model.step(Batch(x, condition=y), "model", generator(seed))["loss"]) for seed in range(300)
        ]
        mean = sum(draws) / len(draws)
        log_w = model.log_weights_given(x, y, 20_000, generator())
        assert mean == pytest.approx(-float(log_w.mean()), abs=0.05)
        assert mean > -float(exact(model, x, y).mean())


def test_a_class_learned_is_drawn_when_asked_for() -> None:
    """Class y has row y lit, and nothing else."""
    y = torch.arange(CLASSES).repeat(40)
    raw = torch.zeros((len(y), *SHAPE), dtype=torch.uint8)
    raw[torch.arange(len(y)), 0, y] = 16
    settings = {"training": {"epochs": 60, "batch_size": 30, "learning_rate": 0.02}}
    model = make(**settings).float()
    part = Part(raw, condition=y)
    train(model, Examples(part, part), ConditionalVAESettings.model_validate(
        {"family": "conditional_vae", "view": "binary"} | settings).training, 0,
        How(torch.device("cpu"), quiet=True))  # fmt: skip
    drawn = model.sample_given(y, generator())
    lit = drawn[torch.arange(len(y)), 0, y].mean()
    assert float(lit) > 0.9 and float(drawn.mean()) == pytest.approx(1 / 3, abs=0.05)
    # Without a condition, classes are drawn alike.
    free = model.sample(600, generator())[:, 0].mean(2).argmax(1)
    assert torch.bincount(free, minlength=CLASSES).min() > 150


def test_its_capabilities() -> None:
    model = make()
    for capability in (HasLogWeights, PreparesLogWeights, SamplesGivenCondition):
        assert isinstance(model, capability)
    # Its latents are z and y together: annealing and pictures of one latent do not apply.
    assert not isinstance(model, HasObservationModel)


def test_what_it_cannot_do_without_is_said() -> None:
    with pytest.raises(SettingsError, match="needs a data set with labels"):
        ConditionalVAE(make_settings(), image_schema(SHAPE, 17))
    with pytest.raises(ValueError, match="classes as condition"):
        make().step(Batch(images()), "model", generator())
    with pytest.raises(ValidationError):
        make(latent_dim=0)


def make_settings() -> ConditionalVAESettings:
    return ConditionalVAESettings.model_validate({"family": "conditional_vae", "view": "binary"})
