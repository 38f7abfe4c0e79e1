"""M1's bound, and M2's example by example and class by class, by torch's own distributions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from partial import binary, randn
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from dgmbench.models.semisupervised.class_latent import ClassLatent
from dgmbench.models.semisupervised.feature_vae import FeatureVAE

# log p(x|y, z) in nats of one example, of the decoder's outputs.
LogDensity = Callable[[Tensor], Tensor]
STANDARD = Normal(0.0, 1.0)


@dataclass
class Example:
    """One example as q(y|x) reads it, as q(z|x, y) reads it, and its density given y and z."""

    classified: Tensor
    encoded: Tensor
    log_x: LogDensity


@dataclass
class Weights:
    """Of eq. 9: images in the pool, labelled images and alpha."""

    pool: int
    labelled: int
    alpha: float


def bernoulli(pixels: Tensor) -> LogDensity:
    return lambda logits: Bernoulli(logits=logits).log_prob(pixels).sum()


def gaussian(x: Tensor, used: list[bool] | None = None) -> LogDensity:
    """Of the dimensions that are used."""
    rows = torch.tensor([True] * len(x) if used is None else used)

    def log_x(outputs: Tensor) -> Tensor:
        mean, log_variance = outputs.chunk(2)
        return Normal(mean, (0.5 * log_variance).exp()).log_prob(x)[rows].sum()

    return log_x


def of_class(net: Any, v: Tensor, y: int) -> Tensor:
    """A network with one hidden layer, of a vector and the one-hot class beside it."""
    one_hot = torch.eye(len(net.of_class), dtype=v.dtype)[y]
    weight = torch.cat([net.first.weight, net.of_class.T], 1)
    return net.rest[-1](F.softplus(F.linear(torch.cat([v, one_hot]), weight, net.first.bias)))


def two_layers(net: nn.Sequential, v: Tensor) -> Tensor:
    """A hidden softplus layer and a linear one."""
    return net[-1](F.softplus(net[0](v)))


def elbo(net: ClassLatent, x: Tensor, log_x: LogDensity, y: int, noise: Tensor) -> Tensor:
    """The ELBO of log p(x, y) of one example."""
    mean, log_variance = of_class(net.posterior, x, y).chunk(2)
    q = Normal(mean, (0.5 * log_variance).exp())
    z = mean + q.scale * noise
    kl = kl_divergence(q, STANDARD).sum()
    return log_x(of_class(net.decoder, z, y)) - kl - math.log(net.classes)


def sum_over_classes(net: ClassLatent, log_q: Tensor, x: Tensor, log_x: LogDensity, noise: Tensor) -> Tensor:
    """The bound of log p(x) of one example by draws ``[classes, latent_dim]``."""
    given = [elbo(net, x, log_x, y, noise[y]) for y in range(net.classes)]
    return sum((log_q[y].exp() * (given[y] - log_q[y]) for y in range(net.classes)), torch.zeros(()))


def losses(
    net: ClassLatent,
    pool: list[Example],
    known: list[Example],
    label: list[int],
    noise: tuple[Tensor, Tensor],
    weights: Weights,
) -> dict[str, Tensor]:
    """Eq. 9 over N, with means of the batch for means of all images; beta = alpha N / N_l."""
    log_q = [
        [two_layers(net.classifier, x.classified).log_softmax(0) for x in part] for part in (pool, known)
    ]
    unlabelled = [
        sum_over_classes(net, log_q[0][i], x.encoded, x.log_x, noise[0][:, i]) for i, x in enumerate(pool)
    ]
    labelled = [elbo(net, x.encoded, x.log_x, label[i], noise[1][i]) for i, x in enumerate(known)]
    right = [each[y] for each, y in zip(log_q[1], label, strict=True)]
    of_pool, of_known, of_label = (torch.stack(each).mean() for each in (unlabelled, labelled, right))
    beta = weights.alpha * weights.pool / weights.labelled
    total = weights.pool * of_pool + weights.labelled * (of_known + beta * of_label)
    return {
        "loss": -total / weights.pool,
        "unlabelled": -of_pool,
        "labelled": -of_known,
        "cross_entropy": -of_label,
    }


def vae_losses(vae: FeatureVAE, x: Tensor, noise: torch.Generator) -> dict[str, Tensor]:
    """M1's negative ELBO of images in levels, binarised by the noise."""
    pixels = binary(x, noise)
    mean, log_variance = two_layers(vae.encoder, pixels).chunk(2, 1)
    q = Normal(mean, (0.5 * log_variance).exp())
    z = mean + q.scale * randn(noise, *mean.shape)
    log_x = Bernoulli(logits=two_layers(vae.decoder, z)).log_prob(pixels).sum(1).mean()
    kl = kl_divergence(q, STANDARD).sum(1).mean()
    return {"loss": kl - log_x, "reconstruction": -log_x, "kl": kl}
