"""Softplus at half the cost of PyTorch's on a CPU, for networks whose time it is a third of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

# Over N(0, 1).
SOFTPLUS_MEAN = 0.806


class Softplus(nn.Module):
    """log(1 + e^a), elementwise."""

    def forward(self, a: Tensor) -> Tensor:
        """The shape of a."""
        return _Softplus.apply(a)[0]


class _Softplus(torch.autograd.Function):
    """-log s with s = sigmoid(-a), and its gradient 1 - s.

    PyTorch's sigmoid and logarithm take a fifth of the time of its log1p. Where s leaves the range of float32
    (a > 87), softplus is a to all digits, and so it is taken. For very negative a the value is exact to 1e-7,
    not to all its digits: no matter for the layer that reads it.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor) -> tuple[Tensor, Tensor]:
        s = torch.sigmoid(-a)
        # What s is raised to matters only where a is larger than its logarithm.
        return torch.maximum(s.clamp(min=torch.finfo(s.dtype).tiny).log_().neg_(), a), s

    @staticmethod
    def setup_context(context: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        context.mark_non_differentiable(output[1])
        context.save_for_backward(output[1])

    @staticmethod
    def backward(context: Any, *outer: Tensor) -> Tensor:
        (s,) = context.saved_tensors
        return torch.addcmul(outer[0], outer[0], s, value=-1)


def softplus_layers(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers of the given sizes, with a softplus after each."""
    pairs = itertools.pairwise(sizes)
    return nn.Sequential(*(layer for pair in pairs for layer in (nn.Linear(*pair), Softplus())))


def start_layers(layers: nn.Sequential, gain: float, *, after_softplus: bool = False) -> nn.Sequential:
    """Give the linear layers weights of the standard deviation gain / sqrt(inputs); returns the layers.

    A softplus has the slope 1/2 at 0, so the gain 2 keeps the size of differences between examples, and
    smaller ones make smoother functions; PyTorch's own start has a gain of 0.58. The mean of a softplus is
    taken off by the bias of the next layer.

    after_softplus: whether what the first layer reads comes from a softplus.
    """
    with torch.no_grad():
        for layer in layers:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.in_features))
                layer.bias.copy_(-SOFTPLUS_MEAN * layer.weight.sum(1) if after_softplus else torch.zeros(()))
            after_softplus = after_softplus or isinstance(layer, Softplus)
    return layers
