"""The uniform distribution: the floor of every likelihood table, with nothing to learn.

Binary images are 2^d equally likely ones, -d log 2 nats each; gray ones have density 1 on [0, 1]^d, which
is 0 nats and log2 L bits/dim (the 8.00 that van den Oord et al. 2016 list for 256 levels).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Model, ModelSettings


class UniformSettings(ModelSettings):
    """There is nothing to set."""


class Uniform(Model):
    """Every image is as likely as any other."""

    Settings = UniformSettings

    anchor: Tensor

    def __init__(self, settings: UniformSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        # Holds no value; its device is the model's.
        self.register_buffer("anchor", torch.zeros(0), persistent=False)

    def fit(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Learn nothing; returns the validation loss, which is the same number for all images."""
        # 0 - 0 rather than -0, which would show in tables.
        return {"loss": 0.0 - float(self.log_prob(valid.x).mean())}

    def log_prob(self, x: Tensor) -> Tensor:
        """``[n]`` float64 nats of ``x [n, C, H, W]``; -inf where a gray image leaves [0, 1]."""
        inside = ((x >= 0) & (x <= 1)).flatten(1).all(1)
        value = -self.dims * math.log(2) if self.view.is_binary else 0.0
        nats = torch.full((len(x),), value, dtype=torch.float64, device=x.device)
        return nats.masked_fill(~inside, -math.inf)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` float32 draws: 0 or 1 (binary), or from [0, 1) (gray)."""
        uniform = torch.rand((n, *self.image_shape), generator=generator, device=self.anchor.device)
        return (uniform < 0.5).float() if self.view.is_binary else uniform
