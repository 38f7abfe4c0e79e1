"""Activations by name, and the multi-layer perceptron."""

from __future__ import annotations

import itertools
from typing import Literal

from torch import nn

Activation = Literal["relu", "tanh", "leaky_relu", "softplus", "gelu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
}


def mlp(sizes: list[int], activation: str, *, batch_norm: bool = False) -> nn.Sequential:
    """Linear layers of the given sizes, each with an activation (after batch norm, if asked for)."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        norm: list[nn.Module] = [nn.BatchNorm1d(outputs)] if batch_norm else []
        layers += [nn.Linear(inputs, outputs), *norm, ACTIVATIONS[activation]()]
    return nn.Sequential(*layers)
