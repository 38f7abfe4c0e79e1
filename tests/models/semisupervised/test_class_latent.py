"""The bounds of M2 and its objective, against sums and ELBOs by hand."""

from __future__ import annotations

import torch
from bounds_by_hand import elbo, gaussian, sum_over_classes
from torch import Tensor

from dgmbench.models.semisupervised.class_latent import ClassLatent, Half, Noise, objective
from dgmbench.models.semisupervised.m1_m2 import gaussian_features

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


def test_the_labelled_bound_is_the_elbo_of_image_and_class() -> None:
    model, x, noise, y = net(), normal(6, INPUTS), normal(6, LATENT, seed=2), torch.tensor([0, 1, 2, 0, 1, 2])
    expected = [elbo(model, x[i], gaussian(x[i]), int(y[i]), noise[i]) for i in range(6)]
    torch.testing.assert_close(model.labelled_bound(x, half(x).log_prob, noise, y), torch.stack(expected))


def test_the_unlabelled_bound_is_the_sum_over_classes() -> None:
    model, x, noise = net(), normal(4, INPUTS), normal(CLASSES, 4, LATENT, seed=2)
    log_class = model.log_class(x)
    found = model.unlabelled_bound(x, log_class, half(x).log_prob, noise)
    for i in range(4):
        expected = sum_over_classes(model, log_class[i], x[i], gaussian(x[i]), noise[:, i])
        torch.testing.assert_close(found[i], expected)


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
