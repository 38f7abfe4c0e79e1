"""Small adversarial models, their images and a short training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dgmbench.data.schema import image_schema
from dgmbench.models.adversarial.dcgan import DCGAN, DCGANSettings
from dgmbench.models.adversarial.game import Adversarial
from dgmbench.models.adversarial.gan import GAN, GANSettings
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Part
from dgmbench.training.outcome import How, Outcome
from dgmbench.training.seeding import initialising

MLP: dict[str, Any] = {"family": "gan", "view": "gray", "latent_dim": 4, "generator_hidden": [8],
                       "discriminator_hidden": [8, 6]}  # fmt: skip
CONV: dict[str, Any] = {"family": "dcgan", "view": "gray", "latent_dim": 4, "channels": [4, 6]}
BUDGET = {"epochs": 4, "batch_size": 8, "learning_rate": 0.01}


def make(family: str = "gan", shape: tuple[int, int, int] = (1, 8, 8), **settings: Any) -> Adversarial:
    kind, schema, base = {"gan": (GAN, GANSettings, MLP), "dcgan": (DCGAN, DCGANSettings, CONV)}[family]
    with initialising("test", family):
        return kind(schema.model_validate(base | {"training": BUDGET} | settings), image_schema(shape, 17))


def images(n: int = 50) -> Examples:
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randint(17, (size, 1, 8, 8), generator=generator).to(torch.uint8) for size in (n, 251)]
    return Examples(Part(draws[0]), Part(draws[1]), 0)


def run(model: Adversarial, checkpoint: Path | None = None) -> Outcome:
    how = How(torch.device("cpu"), checkpoint=checkpoint, checkpoint_seconds=0.0, fingerprint="gan")
    return train(model, images(), model.settings.training, 0, how)


def batch(n: int = 10) -> Tensor:
    return torch.rand((n, 1, 8, 8), generator=torch.Generator().manual_seed(1))
