"""M1: its step by hand, its features, and the logistic regression of few labels that is fitted to them."""

from __future__ import annotations

from typing import Any

import bounds_by_hand
import torch
from partial import (
    CLASSES,
    LEVELS,
    SHAPE,
    assert_same_step,
    change,
    examples,
    generator,
    intensities,
    partial_batch,
    quadrants,
)

from dgmbench.data.schema import image_schema
from dgmbench.models.semisupervised.logistic_fit import fit_logistic
from dgmbench.models.semisupervised.m1 import M1, M1Settings
from dgmbench.training.closed_form import train
from dgmbench.training.outcome import How

BUDGET: dict[str, Any] = {"epochs": 40, "batch_size": 20, "learning_rate": 0.01, "schedule": "cosine"}


def settings(**others: Any) -> M1Settings:
    base = {"family": "m1", "view": "gray", "training": BUDGET, "hidden": [12], "latent_dim": 3}
    return M1Settings.model_validate(base | others)


def make(**others: Any) -> M1:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return M1(settings(**others), image_schema(SHAPE, LEVELS, CLASSES))


def test_a_step_is_that_of_a_vae_of_the_pool() -> None:
    model = make()
    change(model)
    batch = partial_batch(model, *quadrants(20, 1), 8)
    found = model.step(batch, "model", generator(5))
    assert_same_step(model, found, bounds_by_hand.vae_losses(model.vae, batch.x[:20], generator(5)))
    held_out = model.validation_losses(batch, generator(5))
    assert_same_step(model, held_out, bounds_by_hand.vae_losses(model.vae, batch.x, generator(5)))


def test_features_are_the_dimensions_whose_mean_varies() -> None:
    vae, spread = make().vae, torch.tensor([0.5, 0.05, 0.2])
    codes = torch.stack([torch.randn(3000, 3, generator=generator()) * spread, torch.zeros(3000, 3)], 1)
    codes[1000:, 0, 1] *= 100  # Beyond the images that decide.
    vae.choose_features(codes)
    assert vae.used.tolist() == [1.0, 0.0, 1.0]
    # Where none does, the choice is off: a classifier of nothing could not learn.
    vae.choose_features(torch.zeros(10, 2, 3))
    assert vae.used.tolist() == [1.0, 1.0, 1.0]


def test_features_are_means_of_gray_images_without_what_is_masked() -> None:
    model, x = make(), quadrants(5, 1)[0].long()
    model.vae.used[1] = 0
    means = bounds_by_hand.two_layers(model.vae.encoder, intensities(x))[:, :3]
    torch.testing.assert_close(model.encode(x), means * torch.tensor([1.0, 0.0, 1.0]))


def test_it_classifies_by_the_penalty_that_validation_chose() -> None:
    model = make(strengths=[1e-4, 1.0])
    outcome = train(model, examples(90, 5), settings().training, 0, How(torch.device("cpu"), quiet=True))
    last = {name: value for _, _, split, name, value in outcome.history if split == "valid"}
    assert last["C"] == 1.0
    held, truth = quadrants(40, 2)
    error = 100 * float((model.predict(held.long()).argmax(1) != truth).double().mean())
    assert error == last["error"] < 10


def test_the_logistic_regression_is_at_its_minimum() -> None:
    x, y = torch.randn(40, 3, generator=generator()), torch.arange(40) % CLASSES
    for strength in (0.01, 10.0):
        weight, bias = (part.double().requires_grad_() for part in fit_logistic(x, y, CLASSES, strength))
        loss = torch.nn.functional.cross_entropy(x.double() @ weight.T + bias, y, reduction="sum")
        (loss + weight.square().sum() / (2 * strength)).backward()
        assert weight.grad is not None and bias.grad is not None
        assert float(weight.grad.abs().max()) < 1e-3
        assert float(bias.grad.abs().max()) < 1e-3
