"""Losses of the validation examples."""

from __future__ import annotations

import torch

from dgmbench.data.batch import Batch
from dgmbench.models.base import Model

# Examples at once, at least.
SMALLEST = 250


@torch.no_grad()
def validation_means(model: Model, valid: Batch, noise: torch.Generator, batch_size: int) -> dict[str, float]:
    """Means over the examples of each loss that the model has on held-out ones."""
    model.eval()
    totals: dict[str, float] = {}
    for batch in valid.split(max(batch_size, SMALLEST)):
        for name, value in model.validation_losses(batch, noise).items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(batch)
    return {name: total / len(valid) for name, total in totals.items()}
