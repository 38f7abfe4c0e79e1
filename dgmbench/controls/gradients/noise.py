"""The noise of a gradient estimate: its variance, the length of its mean, and its bias."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Gives a scalar whose gradient is an estimate of a bound's.
Estimator = Callable[[torch.Generator], Tensor]


@dataclass(frozen=True)
class Measured:
    """Estimates of one gradient: their mean ``[parameters]``, and squared distances to it ``[draws]``."""

    mean: Tensor
    distances: Tensor

    @property
    def variance(self) -> float:
        """Summed over parameters, without bias."""
        return float(self.distances.sum()) / (len(self.distances) - 1)

    @property
    def std_error(self) -> float:
        """Standard error of the variance."""
        return float(self.distances.std()) / math.sqrt(len(self.distances))

    @property
    def squared_length(self) -> float:
        """Squared norm of the mean, without what chance adds to it; never below a hundredth of that."""
        chance = self.variance / len(self.distances)
        return max(float(self.mean.square().sum()) - chance, 0.01 * chance)


def measure(estimate: Estimator, encoder: nn.Module, draws: int, generator: torch.Generator) -> Measured:
    """The gradient of so many estimates in the encoder's parameters."""
    parameters = list(encoder.parameters())
    found = []
    for _ in range(draws):
        parts = torch.autograd.grad(estimate(generator), parameters)
        found.append(torch.cat([part.flatten() for part in parts]))
    gradients = torch.stack(found)
    mean = gradients.double().mean(0)
    return Measured(mean, (gradients - mean).square().sum(1).cpu())


def squared_bias(biased: Measured, reference: Measured) -> float:
    """Squared distance of the two means over the reference's squared length, without what chance adds to it.

    Where there is no bias to speak of, it may come out below zero.
    """
    chance = biased.variance / len(biased.distances) + reference.variance / len(reference.distances)
    squared = float((biased.mean - reference.mean).square().sum()) - chance
    return squared / reference.squared_length
