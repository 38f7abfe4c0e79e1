"""Estimates of the gradient of a bound whose latents are discrete, from log-probabilities of draws.

No reparameterisation of a discrete h has a gradient, so with log w = log p(x, h) - log q(h|x) for a draw h of
q(h|x), the gradient in q's parameters is taken from the score, E[log w grad log q(h|x)], in three ways:

- `reinforce`: as it is (Williams 1992), without any baseline;
- `NVIL`: for each layer only the part of log w that it has a say in, less a running mean and a learned
  baseline of the layer's input, over its running deviation (Mnih & Gregor 2014, section 2.3, algorithm 1);
- `vimco`: for the bound L_k = E[log (1/k) sum_i w_i], each draw compared with the bound that the others would
  have given without it (Mnih & Rezende 2016, eqs. 9-12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dgmbench.models.latent.multi_sample import log_mean_exp
from dgmbench.models.parts.mlp import mlp

# Weight of the past in NVIL's running moments (Mnih & Gregor 2014, section 3.1).
SMOOTHING = 0.8


@dataclass(frozen=True)
class Draws:
    """Joint draws of the latents, and their log-probabilities factor by factor, each ``[k, n]`` nats.

    latents: h1, h2, ..., each ``[k, n, units]``; h1 is next to x.
    log_p: of p(x|h1), p(h1|h2), ..., p(h_top).
    log_q: of q(h1|x), q(h2|h1), ...
    """

    latents: Sequence[Tensor]
    log_p: Sequence[Tensor]
    log_q: Sequence[Tensor]

    def log_weights(self, layer: int = 0) -> Tensor:
        """log w; of a higher `layer`, only the factors that its latents have a say in."""
        return total(self.log_p[layer:]) - total(self.log_q[layer:])


@dataclass(frozen=True)
class Estimate:
    """A bound to ascend (nats, a scalar), and a scalar whose gradient estimates that of the bound."""

    bound: Tensor
    surrogate: Tensor

    def loss(self) -> Tensor:
        """The negative bound, with the negative estimate for its gradient."""
        return -(self.bound.detach() + self.surrogate - self.surrogate.detach())


def total(terms: Sequence[Tensor]) -> Tensor:
    """The sum of `terms`, of which there is one at least."""
    return torch.stack(list(terms)).sum(0)


def reinforce(draws: Draws) -> Estimate:
    """The ELBO by the score function alone: every layer's score gets the whole learning signal."""
    signal = draws.log_weights()
    surrogate = total(draws.log_p) + signal.detach() * total(draws.log_q)
    return Estimate(signal.mean(), surrogate.mean())


def vimco(draws: Draws, *, baseline: bool = True) -> Estimate:
    """L_k of two or more draws, each score weighted by what its draw adds to the bound (eqs. 11 and 12).

    Without the baseline every score gets the whole bound (eqs. 6 and 7), for comparison.
    """
    log_w = draws.log_weights()
    bound = log_mean_exp(log_w)
    signal = (bound - log_mean_exp(without_each(log_w)) if baseline else bound.expand_as(log_w)).detach()
    weights = torch.softmax(log_w, 0).detach()
    surrogate = signal * total(draws.log_q) + weights * log_w
    return Estimate(bound.mean(), surrogate.sum(0).mean())


def without_each(log_weights: Tensor) -> Tensor:
    """``[k, k, n]``: copies along axis 1 of ``log_weights [k, n]``, the j-th with its row j made up anew.

    It is then the mean of the other rows, the log of their geometric mean (Mnih & Rezende 2016, eq. 10).
    """
    k = len(log_weights)
    others = (log_weights.sum(0) - log_weights) / (k - 1)
    own = torch.eye(k, dtype=torch.bool, device=log_weights.device)[:, :, None]
    return torch.where(own, others[:, None], log_weights[:, None])


class NVIL(nn.Module):
    """The ELBO by centred and scaled learning signals, with the state that takes.

    The baselines descend their squared error along with the model. Deviation: the running moments in use are
    those from before the batch at hand (but for the first batch), so that the estimate has no bias but its
    scale. They move on in training mode only.

    Args:
        inputs: widths of the layers' inputs: of x, h1, ...
        hidden: widths of each baseline network.
    """

    mean: Tensor
    variance: Tensor
    steps: Tensor

    def __init__(self, inputs: Sequence[int], hidden: Sequence[int]) -> None:
        super().__init__()
        self.baselines = nn.ModuleList()
        for width in inputs:
            sizes = [width, *hidden]
            self.baselines.append(nn.Sequential(mlp(sizes, "tanh"), nn.Linear(sizes[-1], 1)))
        self.register_buffer("mean", torch.zeros(len(inputs)))
        self.register_buffer("variance", torch.zeros(len(inputs)))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, draws: Draws, inputs: Sequence[Tensor]) -> Estimate:
        """The estimate, from the draws and each layer's input: x ``[n, d]``, h1 ``[k, n, units]``, ..."""
        surrogate = total(draws.log_p).mean()
        for layer, (baseline, log_q) in enumerate(zip(self.baselines, draws.log_q, strict=True)):
            residual = draws.log_weights(layer).detach() - baseline(inputs[layer]).squeeze(-1)
            centre, scale = self._moments(layer, residual.detach())
            signal = (residual - centre) / scale
            # Descending scale/2 signal^2, the baseline moves by signal x its gradient, as in algorithm 1.
            surrogate = surrogate + (signal.detach() * log_q - 0.5 * scale * signal.square()).mean()
        if self.training:
            self.steps += 1
        return Estimate(draws.log_weights().mean(), surrogate)

    def _moments(self, layer: int, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Centre and scale of a layer's learning signal; the scale is never below 1."""
        seen = torch.stack([residual.mean(), residual.var(correction=0)])
        past = torch.stack([self.mean[layer], self.variance[layer]])
        used = torch.where(self.steps == 0, seen, past)
        if self.training:
            self.mean[layer], self.variance[layer] = torch.lerp(seen, used, SMOOTHING)
        return used[0], used[1].sqrt().clamp_min(1.0)
