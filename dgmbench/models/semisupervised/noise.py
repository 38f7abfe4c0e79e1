"""Gaussian noise that regularises a classifier."""

from __future__ import annotations

import torch
from torch import Tensor


def with_noise(x: Tensor, deviation: float, generator: torch.Generator | None) -> Tensor:
    """x + N(0, deviation^2), drawn by `generator`; x itself where that is None or the deviation 0."""
    if generator is None or deviation == 0:
        return x
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return noise.mul_(deviation).add_(x)
