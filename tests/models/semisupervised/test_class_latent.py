"""The bounds of M2 and its objective, against sums and ELBOs written out."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.data.schema import image_schema
from dgmbench.models.conditional.conditional_vae import ConditionalVAE, ConditionalVAESettings
from dgmbench.models.latent.decoding import bernoulli_log_prob
from dgmbench.models.semisupervised.class_latent import ClassLatent, Half, Noise, objective
from dgmbench.models.semisupervised.m1_m2 import gaussian_features
from dgmbench.models.semisupervised.m2 import M2

INPUTS, CLASSES, LATENT, HIDDEN = 5, 3, 2, 4


def net(hidden: tuple[int, ...] = (HIDDEN,), outputs: int = 2 * INPUTS) -> ClassLatent:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ClassLatent(INPUTS, CLASSES, LATENT, hidden, outputs).double()


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def last_weight(model: ClassLatent) -> Tensor:
    weight = model.classifier[-1].weight
    assert isinstance(weight, Tensor)
    return weight


def gradient_of(weight: Tensor) -> Tensor:
    assert weight.grad is not None
    return weight.grad.clone()


def half(x: Tensor) -> Half:
    return Half(x, x, gaussian_features(x, torch.ones(INPUTS, dtype=x.dtype)))


def by_hand(model: ClassLatent, x: Tensor, y: int, noise: Tensor) -> Tensor:
    """The ELBO of log p(x, y) of one example with one-hot inputs, by torch's own distributions."""
    one_hot = torch.eye(CLASSES, dtype=x.dtype)[y]

    def network(which: Any, v: Tensor) -> Tensor:
        weight = torch.cat([which.first.weight, which.of_class.T], 1)
        first = torch.nn.functional.linear(torch.cat([v, one_hot]), weight, which.first.bias)
        return which.rest[-1](torch.nn.functional.softplus(first))

    mean, log_variance = network(model.posterior, x).chunk(2)
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    z = mean + q.scale * noise
    location, spread = network(model.decoder, z).chunk(2)
    log_x = torch.distributions.Normal(location, (0.5 * spread).exp()).log_prob(x).sum()
    return log_x - torch.distributions.kl_divergence(q, prior).sum() - math.log(CLASSES)


def test_the_labelled_bound_is_the_elbo_of_image_and_class() -> None:
    model, x, noise, y = net(), normal(6, INPUTS), normal(6, LATENT, seed=2), torch.tensor([0, 1, 2, 0, 1, 2])
    expected = torch.stack([by_hand(model, x[i], int(y[i]), noise[i]) for i in range(6)])
    torch.testing.assert_close(model.labelled_bound(x, half(x).log_prob, noise, y), expected)


def test_the_unlabelled_bound_is_the_sum_over_classes() -> None:
    model, x, noise = net(), normal(4, INPUTS), normal(CLASSES, 4, LATENT, seed=2)
    log_class = model.log_class(x)
    found = model.unlabelled_bound(x, log_class, half(x).log_prob, noise)
    for i in range(4):
        q = log_class[i].exp()
        terms = [q[y] * (by_hand(model, x[i], y, noise[y, i]) - q[y].log()) for y in range(CLASSES)]
        torch.testing.assert_close(found[i], torch.stack(terms).sum())


def test_several_hidden_layers_give_every_class_as_one_class_does() -> None:
    model, x = net((4, 6)), normal(4, INPUTS)
    every = model.posterior(x)
    assert every.shape == (CLASSES, 4, 2 * LATENT)
    for y in range(CLASSES):
        torch.testing.assert_close(every[y], model.posterior(x, torch.full((4,), y)))


def test_the_objective_has_the_published_weights() -> None:
    """Everything over N: 1 an image of the pool, 1 a labelled bound, alpha N / N_l a classified image."""
    model, pool, x, y = net(), normal(6, INPUTS), normal(3, INPUTS, seed=3), torch.tensor([2, 0, 1])
    noise = Noise(normal(CLASSES, 6, LATENT, seed=4), normal(3, LATENT, seed=5))
    n, labelled, alpha = 50_000, 100, 0.1
    losses = objective(model, half(pool), half(x), y, noise, torch.tensor(labelled / n), alpha)
    sum_pool = n * model.unlabelled_bound(pool, model.log_class(pool), half(pool).log_prob, noise.pool).mean()
    bounds = model.labelled_bound(x, half(x).log_prob, noise.labelled, y)
    beta = alpha * n / labelled
    assert beta == 50
    sum_labelled = labelled * (bounds + beta * model.log_class(x)[range(3), y]).mean()
    torch.testing.assert_close(losses["loss"], -(sum_pool + sum_labelled) / n)


def test_labels_reach_the_classifier_by_the_classification_term_alone() -> None:
    model, pool, x, y = net(), normal(6, INPUTS), normal(3, INPUTS, seed=3), torch.tensor([2, 0, 1])
    noise = Noise(normal(CLASSES, 6, LATENT, seed=4), normal(3, LATENT, seed=5))

    def gradient(share: float, alpha: float) -> Tensor:
        model.zero_grad()
        objective(model, half(pool), half(x), y, noise, torch.tensor(share), alpha)["loss"].backward()
        return gradient_of(last_weight(model))

    torch.testing.assert_close(gradient(0.5, 0.0), gradient(0.0, 0.0))
    added = gradient(0.0, 0.3) - gradient(0.0, 0.0)
    model.zero_grad()
    torch.nn.functional.nll_loss(model.log_class(x), y).backward()
    torch.testing.assert_close(added, 0.3 * gradient_of(last_weight(model)))


# M2 on pixels


def m2(**settings: Any) -> M2:
    base = {"family": "m2", "view": "gray", "latent_dim": LATENT, "hidden": [HIDDEN]}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return M2(M2.Settings.model_validate(base | settings), image_schema((1, 2, 3), 2, CLASSES)).double()


def test_where_all_labels_are_known_it_is_the_conditional_model() -> None:
    """The labelled bound is the conditional VAE's ELBO of log p(x|y), less log of the number of classes."""
    model = m2()
    settings = {"family": "conditional_vae", "view": "binary", "latent_dim": LATENT, "hidden": [7]}
    other = ConditionalVAE(
        ConditionalVAESettings.model_validate(settings), image_schema((1, 2, 3), 2, CLASSES)
    )
    other = other.double()
    x = torch.randint(2, (5, 1, 2, 3), generator=torch.Generator().manual_seed(0)).double()
    y, noise = torch.tensor([0, 1, 2, 1, 0]), normal(5, LATENT)
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


def test_a_step_uses_the_labels_that_are_known() -> None:
    model = m2()
    model.use_training_sizes(200, 50)
    assert float(model.share) == 0.25
    x = torch.randint(2, (7, 1, 2, 3), generator=torch.Generator().manual_seed(0))
    label = torch.tensor([UNKNOWN] * 4 + [2, 0, 1])
    losses = model.float().step(Batch(x, label), "model", torch.Generator().manual_seed(0))
    inputs = model.inputs(x[4:])
    expected = torch.nn.functional.nll_loss(model.m2.log_class(inputs), label[4:])
    torch.testing.assert_close(losses["cross_entropy"], expected)
    held_out = model.validation_losses(Batch(x[4:], label[4:]), torch.Generator())
    torch.testing.assert_close(held_out["loss"], expected)
    right = (model.predict(x[4:]).argmax(1) == label[4:]).double().mean()
    assert float(held_out["error"]) == pytest.approx(100 * (1 - float(right)))


def test_samples_are_mean_images_of_the_class_asked_for() -> None:
    model = m2().float()
    drawn = model.sample_given(torch.tensor([0, 1, 2]), torch.Generator().manual_seed(0))
    assert drawn.shape == (3, 1, 2, 3)
    assert drawn.dtype == torch.int64
    assert int(drawn.min()) >= 0 and int(drawn.max()) <= 1
    assert model.sample(4, torch.Generator()).shape == (4, 1, 2, 3)
