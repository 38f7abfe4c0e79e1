"""M2 on pixels: a step by hand, which networks read gray images and which binary ones, and what it gives."""

from __future__ import annotations

import math
from typing import Any

import bounds_by_hand
import pytest
import torch
from bounds_by_hand import Example, Weights, bernoulli
from partial import CLASSES, LEVELS, assert_same_step, binary, change, generator, intensities, randn
from torch import Tensor

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.data.schema import image_schema
from dgmbench.models.conditional.conditional_vae import ConditionalVAE, ConditionalVAESettings
from dgmbench.models.latent.decoding import bernoulli_log_prob
from dgmbench.models.semisupervised.m2 import M2

SHAPE, LATENT, HIDDEN = (1, 2, 3), 2, 4


def m2(levels: int = LEVELS, **settings: Any) -> M2:
    base = {"family": "m2", "view": "gray", "latent_dim": LATENT, "hidden": [HIDDEN]}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return M2(M2.Settings.model_validate(base | settings), image_schema(SHAPE, levels, CLASSES))


def few_labels() -> Batch:
    x = torch.randint(LEVELS, (7, *SHAPE), generator=generator())
    return Batch(x, torch.tensor([UNKNOWN] * 4 + [2, 0, 1]))


def step_by_hand(model: M2, batch: Batch, weights: Weights) -> dict[str, Tensor]:
    """q(y|x) reads gray images; q(z|x, y) reads the binary ones that p(x|y, z) gives."""
    noise, gray = generator(5), intensities(batch.x)
    pixels = torch.cat([binary(batch.x[:4], noise), binary(batch.x[4:], noise)])
    pool, known = (
        [Example(gray[i], pixels[i], bernoulli(pixels[i])) for i in rows] for rows in (range(4), range(4, 7))
    )
    draws = randn(noise, CLASSES, 4, LATENT), randn(noise, 3, LATENT)
    return bounds_by_hand.losses(model.m2, pool, known, [2, 0, 1], draws, weights)


def test_a_step_is_that_of_the_paper() -> None:
    model, batch = m2(alpha=0.7), few_labels()
    change(model)
    model.use_training_sizes(200, 50)
    found = model.step(batch, "model", generator(5))
    assert_same_step(model, found, step_by_hand(model, batch, Weights(200, 50, 0.7)))


def test_held_out_images_are_classified_gray() -> None:
    model, known = m2(), few_labels().labelled()
    assert known.label is not None
    p = bounds_by_hand.two_layers(model.m2.classifier, intensities(known.x)).softmax(1)
    torch.testing.assert_close(model.predict(known.x), p)
    found = model.validation_losses(known, generator())
    torch.testing.assert_close(found["loss"], -p[range(3), known.label].log().mean())
    wrong = (p.argmax(1) != known.label).double().mean()
    assert float(found["error"]) == pytest.approx(100 * float(wrong))


def test_where_all_labels_are_known_it_is_the_conditional_model() -> None:
    """The labelled bound is the conditional VAE's ELBO of log p(x|y), less log of the number of classes."""
    model = m2(levels=2).double()
    settings = {"family": "conditional_vae", "view": "binary", "latent_dim": LATENT, "hidden": [7]}
    other = ConditionalVAE(ConditionalVAESettings.model_validate(settings), image_schema(SHAPE, 2, CLASSES))
    other = other.double()
    x = torch.randint(2, (5, 1, 2, 3), generator=generator()).double()
    y, noise = torch.tensor([0, 1, 2, 1, 0]), randn(generator(1), 5, LATENT).double()
    # The conditional model with M2's networks in place of its own.
    other._posterior = lambda features, y: model.m2.posterior(x.flatten(1), y).chunk(2, -1)  # type: ignore[method-assign]
    other.decoder_outputs = lambda z, y: model.m2.decoder(z, y)  # type: ignore[method-assign]
    other._draw = lambda mean, log_variance, *_: mean + (0.5 * log_variance).exp() * noise  # type: ignore[method-assign]
    elbo = -other.step(Batch(x, condition=y), "model", torch.Generator())["loss"]
    pixels = x.flatten(1)
    found = model.m2.labelled_bound(
        pixels, lambda logits: bernoulli_log_prob(pixels, logits), noise, y
    ).mean()
    torch.testing.assert_close(found, elbo - math.log(CLASSES))


def test_samples_are_mean_images_of_the_class_asked_for() -> None:
    model, y = m2(), torch.tensor([0, 3, 2])
    change(model)
    z = randn(generator(), 3, LATENT)
    logits = torch.stack([bounds_by_hand.of_class(model.m2.decoder, z[i], int(y[i])) for i in range(3)])
    drawn = model.sample_given(y, generator())
    assert torch.equal(drawn, (16 * logits.sigmoid()).round().long().reshape(3, *SHAPE))
    assert model.sample(4, generator()).shape == (4, *SHAPE)
