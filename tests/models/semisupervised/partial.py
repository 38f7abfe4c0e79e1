"""Images of four classes and batches of which a part is labelled, for tests of semi-supervised models."""

from __future__ import annotations

import torch
from torch import Tensor

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.models.base import Model

SHAPE, LEVELS, CLASSES = (1, 8, 8), 17, 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quadrants(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Dim noise, brighter in the quadrant of the class; classes in turn."""
    noise = generator(seed)
    label = torch.arange(n) % CLASSES
    raw = torch.randint(6, (n, *SHAPE), generator=noise).to(torch.uint8)
    for i, y in enumerate(label.tolist()):
        raw[i, 0, 4 * (y // 2) : 4 * (y // 2) + 4, 4 * (y % 2) : 4 * (y % 2) + 4] += 8
    return raw, label


def partial_batch(model: Model, raw: Tensor, label: Tensor, known: int) -> Batch:
    """All images without their labels, then the first `known` again with them."""
    hidden = torch.full_like(label, UNKNOWN)
    rows = torch.cat([raw, raw[:known]])
    return model.view.batch(rows, generator(), torch.cat([hidden, label[:known]]))


def learn(model: Model, steps: int, rate: float) -> float:
    """The error in percent on fresh images after some steps on 80 images, eight of them labelled."""
    noise = generator(7)
    optimisers = {
        p: torch.optim.Adam(model.phase_parameters(p), rate, betas=(0.5, 0.999)) for p in model.phases
    }
    raw, label = quadrants(80, 1)
    batch = partial_batch(model, raw, label, 8)
    model.train()
    for _ in range(steps):
        for phase in model.phases:
            optimisers[phase].zero_grad(set_to_none=True)
            model.step(batch, phase, noise)["loss"].backward()
            optimisers[phase].step()
            model.after_step(phase)
    model.eval()
    held, truth = quadrants(200, 2)
    with torch.no_grad():
        found = model.validation_losses(model.view.batch(held, noise, truth), noise)
    return float(found["error"])
