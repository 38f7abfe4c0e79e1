"""Four small trainings as a process of its own: prints their weights' hashes and likelihoods as JSON.

Run by test_processors.py under other processors' instructions, which PyTorch chooses when it is imported.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import Tensor

from dgmbench.data.schema import image_schema
from dgmbench.models.autoregressive.pixelcnn import PixelCNN
from dgmbench.models.base import Model
from dgmbench.models.baselines.independent import Independent
from dgmbench.models.baselines.ppca import PPCA
from dgmbench.models.latent.vae import VAE
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Part
from dgmbench.training.outcome import How
from dgmbench.training.seeding import initialising

SHAPE, LEVELS = (1, 8, 8), 17
BUDGET = {"training": {"epochs": 4, "batch_size": 50, "learning_rate": 2e-3}}
ENTRIES: dict[str, tuple[type[Model], dict[str, Any]]] = {
    "ppca": (PPCA, {"view": "gray", "latent_dims": [5, 10]}),
    "independent": (Independent, {"view": "binary"}),
    "vae": (VAE, {"view": "binary", "latent_dim": 4, "hidden": [64]} | BUDGET),
    "pixelcnn": (PixelCNN, {"view": "binary", "features": 8, "blocks": 1} | BUDGET),
}


def images(n: int, seed: int) -> Tensor:
    """Noisy copies of ten patterns, uint8 `[n, 1, 8, 8]`."""
    patterns = torch.rand((10, *SHAPE), generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    chosen = patterns[torch.randint(10, (n,), generator=generator)]
    noisy = chosen + 0.2 * torch.randn((n, *SHAPE), generator=generator)
    return (LEVELS * noisy).long().clamp(0, LEVELS - 1).to(torch.uint8)


def trained(name: str) -> tuple[str, float]:
    """SHA-256 of the weights of an entry, and the mean log-likelihood (or ELBO) of test images."""
    family, settings = ENTRIES[name]
    checked = family.Settings.model_validate({"family": name} | settings)
    with initialising("tiny", name):
        model = family(checked, image_schema(SHAPE, LEVELS))
    valid, test = images(100, 2), images(200, 3)
    data = Examples(Part(images(300, 1)), Part(valid), 0, (valid > LEVELS // 2).to(torch.uint8))
    train(model, data, getattr(checked, "training", None), 0, How(torch.device("cpu")))
    digest = hashlib.sha256()
    for value in model.state_dict().values():
        digest.update(value.contiguous().numpy().tobytes())
    x = test / LEVELS if model.view.continuous else (test > LEVELS // 2).float()
    with torch.no_grad():
        score = (
            model.log_weights(x, 10, torch.Generator().manual_seed(4)).mean()
            if isinstance(model, VAE)
            else model.log_prob(x).mean()
        )
    return digest.hexdigest(), float(score)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({name: trained(name) for name in ENTRIES}))
