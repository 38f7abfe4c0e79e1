"""The optimiser of a budget, and its step size as the training goes on."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from dgmbench.settings.budget import TrainingBudget


def optimiser_of(
    parameters: Iterable[nn.Parameter], budget: TrainingBudget, device: torch.device
) -> torch.optim.Optimizer:
    """Adam or RMSprop by the settings of a budget, with its first step size."""
    rate = budget.learning_rate
    if budget.optimiser == "rmsprop":
        return torch.optim.RMSprop(list(parameters), rate, alpha=budget.betas[1], eps=budget.epsilon)
    fused = device.type in ("cpu", "cuda")
    return torch.optim.Adam(list(parameters), rate, betas=budget.betas, eps=budget.epsilon, fused=fused)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The step size of all parameters from here on."""
    for group in optimiser.param_groups:
        group["lr"] = rate
