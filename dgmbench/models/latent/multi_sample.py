"""What the models trained by bounds of several draws (IWAE, sigmoid belief nets) share."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# Pixels that are never (or always) on in training would have infinite log-odds; the authors' code clips here.
LEAST_MEAN = 1e-3


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """log (1/k) sum_i exp of ``log_weights [k, n]``: ``[n]``."""
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))


def start_as_glorot(module: nn.Module) -> None:
    """Weights uniform on +-sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010, eq. 16), biases zero."""
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
