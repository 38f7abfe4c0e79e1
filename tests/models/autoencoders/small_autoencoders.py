"""Small auto-encoders and their images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.models.autoencoders.autoencoder import AutoEncoder, AutoEncoderSettings
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Part
from dgmbench.training.outcome import How, Outcome

LEVELS = 17
REGULARISERS = ("none", "sparse", "denoising", "contractive")
BODIES: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [12]},
    "conv": {"body": "conv", "channels": [3, 4]},
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(view: str = "gray", shape: tuple[int, int, int] = (1, 4, 4), **settings: Any) -> AutoEncoder:
    base: dict[str, Any] = {
        "family": "autoencoder",
        "view": view,
        "latent_dim": 3,
        "hidden": [12],
        "mixture_components": [1, 2],
        "chain_steps": 3,
        "chain_starts": 20,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoEncoder(AutoEncoderSettings.model_validate(base | settings), image_schema(shape, LEVELS))


def images(n: int = 60) -> Examples:
    """Stripes of random brightness: discrete images that have something to learn."""
    rows = torch.randint(LEVELS, (n + 20, 1, 4, 1), generator=generator(1))
    flat = rows.expand(-1, 1, 4, 4).to(torch.uint8)
    return Examples(Part(flat[:n]), Part(flat[n:]), 0, (flat[n:] > 8).to(torch.uint8))


def batch(view: str, n: int = 10) -> Tensor:
    x = torch.rand((n, 1, 4, 4), generator=generator(2))
    return (x < 0.5).float() if view == "binary" else x


def finished(view: str = "gray", **settings: Any) -> AutoEncoder:
    """With random weights, and densities and chains fitted to random images."""
    model = make(view, **settings)
    model.finish(Batch(batch(view, 50)), Batch(batch(view, 20)), generator(3))
    return model.eval()


def budget(epochs: int, learning_rate: float = 1e-3) -> dict[str, Any]:
    return {"training": {"epochs": epochs, "batch_size": 20, "learning_rate": learning_rate}}


def run(model: AutoEncoder, checkpoint: Path | None = None) -> Outcome:
    how = How(torch.device("cpu"), checkpoint=checkpoint, fingerprint="x")
    return train(model, images(), model.settings.training, 0, how)
