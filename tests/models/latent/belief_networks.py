"""Small sigmoid belief networks, and their bounds and gradients by enumeration of the latents."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent

from dgmbench.data.schema import image_schema
from dgmbench.models.latent.sigmoid_belief import SigmoidBelief, SigmoidBeliefSettings

UNITS = 3
STRUCTURES = pytest.mark.parametrize("structure", ["linear", "nonlinear", "two_layers"])
MEAN = torch.tensor([[[0.2, 0.4], [0.7, 0.5]]], dtype=torch.float64)


def make(
    structure: str = "linear", *, shape: tuple[int, int, int] = (1, 2, 2), **settings: Any
) -> SigmoidBelief:
    base = {"family": "sigmoid_belief", "view": "binary", "hidden": [5], "baseline_hidden": [4]}
    block = base | {"structure": structure, "units": UNITS} | settings
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SigmoidBelief(SigmoidBeliefSettings.model_validate(block), image_schema(shape, 17)).double()
        for parameter in model.parameters():
            # Away from the start, where biases are zero and prior and posterior much alike.
            parameter.data += 0.5 * torch.randn_like(parameter)
    if shape == MEAN.shape:
        model.use_training_mean(MEAN)
    return model


def images(n: int = 4, shape: tuple[int, int, int] = (1, 2, 2)) -> Tensor:
    uniform = torch.rand((n, *shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (uniform < 0.5).double()


def generator(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def states(units: int) -> Tensor:
    """All ``[2^units, units]`` zeros and ones."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=units)), dtype=torch.float64)


def product(logits: Tensor) -> Independent:
    return Independent(Bernoulli(logits=logits), 1)


def enumerated(model: SigmoidBelief, x: Tensor) -> tuple[Tensor, Tensor]:
    """log p(x, h) and log q(h|x) of every h, each ``[2^(all latents), n]``, by torch's distributions."""
    h = states(model.latent_dim)[:, None].expand(-1, len(x), -1).split(UNITS, -1)
    centred = x - model.mean.reshape(x.shape[1:])
    log_q = product(model.recognition[0](centred).expand(len(h[0]), -1, -1)).log_prob(h[0])
    output = model.generation[0](2 * h[0] - 1) + torch.log(model.mean / (1 - model.mean))
    log_p = product(output).log_prob(x.flatten(1)) + product(model.prior_logits).log_prob(h[-1])
    if len(h) == 2:
        log_q = log_q + product(model.recognition[1](2 * h[0] - 1)).log_prob(h[1])
        log_p = log_p + product(model.generation[1](2 * h[1] - 1)).log_prob(h[0])
    return log_p, log_q


def exact_elbo(model: SigmoidBelief, x: Tensor) -> Tensor:
    log_p, log_q = enumerated(model, x)
    return (log_q.exp() * (log_p - log_q)).sum(0).mean()


def exact_bound_of_two(model: SigmoidBelief, x: Tensor) -> Tensor:
    """L_2, over all pairs of states."""
    log_p, log_q = enumerated(model, x)
    log_w = log_p - log_q
    pairs = torch.logaddexp(log_w[:, None], log_w[None]) - math.log(2)
    return ((log_q[:, None] + log_q[None]).exp() * pairs).sum((0, 1)).mean()


def flat_gradient(value: Tensor, parameters: list[Tensor]) -> Tensor:
    found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    parts = [
        torch.zeros_like(own) if part is None else part for own, part in zip(parameters, found, strict=True)
    ]
    return torch.cat([part.flatten() for part in parts])


def encoder(model: SigmoidBelief) -> list[Tensor]:
    return list(model.recognition.parameters())


def model_parameters(model: SigmoidBelief) -> list[Tensor]:
    """All of p and q, without the baselines."""
    return [own for name, own in model.named_parameters() if not name.startswith("nvil")]
