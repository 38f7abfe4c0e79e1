"""Independent pixels: what the marginal of every pixel says, and nothing of how they go together.

A Bernoulli per pixel on binary images, a histogram of all L levels per pixel on gray ones (an exact
likelihood of the discrete image). Probabilities are counts with `a` added to each: the posterior mean under
a symmetric Dirichlet(a) prior, which keeps a level that training never showed from costing infinitely much.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Model, ModelSettings


class IndependentSettings(ModelSettings):
    """The additive smoothings among which validation chooses."""

    smoothings: list[PositiveFloat] = Field(
        [0.01, 0.03, 0.1, 0.3, 1.0], min_length=1, description="candidates; the best on validation is kept"
    )


class Independent(Model):
    """A categorical distribution for each pixel value; log-probabilities in float64, fitted by `fit`."""

    Settings = IndependentSettings

    log_probabilities: Tensor

    def __init__(self, settings: IndependentSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.candidates = sorted(settings.smoothings)
        self.categories = self.levels
        table = torch.full((self.dims, self.categories), 1 / self.categories, dtype=torch.float64)
        self.register_buffer("log_probabilities", table.log())

    @classmethod
    def takes_densities(cls, settings: Any) -> bool:
        """No: each pixel has a table of its levels."""
        return False

    def parameter_count(self) -> int:
        """d (K - 1) for K = 2 or L categories: each pixel's probabilities sum to one."""
        return self.dims * (self.categories - 1)

    def fit(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Count ``train [n, C, H, W]`` and keep the smoothing with the best likelihood of `valid`."""
        counts = self._counts(train.x)
        losses = {}
        for smoothing in self.candidates:
            self._keep(counts, smoothing)
            losses[smoothing] = -float(self.log_prob(valid.x).mean())
        best = min(losses, key=lambda smoothing: losses[smoothing])
        self._keep(counts, best)
        return {"loss": losses[best], "smoothing": best}

    def _counts(self, x: Tensor) -> Tensor:
        """How often each pixel has each category, ``[d, K]`` float64."""
        flat = x.flatten(1).long()
        rows = torch.arange(self.dims, device=x.device) * self.categories
        counts = torch.bincount((flat + rows).flatten(), minlength=self.dims * self.categories)
        return counts.reshape(self.dims, self.categories).double()

    def _keep(self, counts: Tensor, smoothing: float) -> None:
        smoothed = counts + smoothing
        self.log_probabilities.copy_((smoothed / smoothed.sum(1, keepdim=True)).log())

    def log_prob(self, x: Tensor) -> Tensor:
        """log P of the discrete images ``x [n, C, H, W]`` in nats, ``[n]`` float64."""
        pixels = torch.arange(self.dims, device=x.device)
        return self.log_probabilities[pixels, x.flatten(1).long()].sum(1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws: float32 0/1 (binary) or int64 levels (gray), by inverting the CDF."""
        device = self.log_probabilities.device
        uniform = torch.rand((self.dims, n), generator=generator, device=device, dtype=torch.float64)
        ladder = self.log_probabilities.exp().cumsum(1)
        # The last step of the ladder is left out: rounding may put it below 1.
        drawn = torch.searchsorted(ladder[:, :-1].contiguous(), uniform, right=True)
        images = drawn.T.reshape(n, *self.image_shape)
        return images.float() if self.view.is_binary else images
