"""Binary images of a known mixture, and models fitted to them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.models.baselines.bernoulli_em import Mixture
from dgmbench.models.baselines.bernoulli_mixture import BernoulliMixture, BernoulliMixtureSettings

SHAPE = (1, 2, 3)
TRUTH = torch.tensor([[0.95, 0.9, 0.9, 0.1, 0.05, 0.5], [0.1, 0.05, 0.2, 0.9, 0.9, 0.5]], dtype=torch.float64)


def make(shape: tuple[int, int, int] = SHAPE, **choices: Any) -> BernoulliMixture:
    block = {"family": "bernoulli_mixture", "view": "binary", "components": [2]} | choices
    return BernoulliMixture(BernoulliMixtureSettings.model_validate(block), image_schema(shape, 2))


def images(n: int, seed: int = 0) -> Tensor:
    """Binary images ``[n, 1, 2, 3]``: 30 % of `TRUTH`'s first component, 70 % of its second."""
    generator = torch.Generator().manual_seed(seed)
    which = (torch.rand(n, generator=generator) < 0.7).long()
    return (torch.rand((n, 6), generator=generator) < TRUTH[which]).float().reshape(n, *SHAPE)


def flat(n: int, seed: int = 0) -> Tensor:
    return images(n, seed).flatten(1).to(torch.uint8)


def fitted(n: int = 300, **choices: Any) -> tuple[BernoulliMixture, dict[str, float]]:
    model = make(**choices)
    return model, model.fit(Batch(images(n)), Batch(images(200, 1)), torch.Generator().manual_seed(3))


def random_mixture(k: int, seed: int = 0) -> Mixture:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(k, generator=generator, dtype=torch.float64) + 0.1
    logits = 2 * torch.randn((k, 6), generator=generator, dtype=torch.float64)
    return Mixture((weights / weights.sum()).log(), logits)
