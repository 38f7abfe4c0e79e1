"""Drawing the samples of a run, given conditions where its model takes one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.models.base import Model
from dgmbench.models.capabilities import CanSample, draw
from dgmbench.settings import SamplingSettings
from dgmbench.training.devices import synchronize
from dgmbench.training.examples import Part
from dgmbench.training.progress_bar import bar
from dgmbench.training.seeding import generator_for


def draw_conditions(train: Part, n: int, seed: int) -> Tensor | None:
    """n conditions, drawn from those of the training examples; None for a model without condition."""
    if train.condition is None:
        return None
    rows = torch.randint(len(train), (n,), generator=generator_for("sample conditions", seed))
    return train.condition.cpu()[rows]


def draw_samples(
    model: Model,
    settings: SamplingSettings,
    seed: int,
    device: torch.device,
    conditions: Tensor | None = None,
    *,
    quiet: bool = False,
) -> tuple[np.ndarray[Any, Any], float]:
    """``settings.n`` generated examples as the model's view observes them, and the seconds they took.

    conditions: ``[settings.n, ...]``, one for each; None for a model without condition.
    """
    assert isinstance(model, CanSample)
    generator = generator_for("sample", seed, device=device)
    parts: list[Tensor] = []
    synchronize(device)
    started = time.monotonic()
    with torch.no_grad(), bar(settings.n, "draw samples", unit="sample", quiet=quiet) as shown:
        for start in range(0, settings.n, settings.batch_size):
            size = min(settings.batch_size, settings.n - start)
            given = None if conditions is None else conditions[start : start + size].to(device)
            parts.append(draw(model, size, generator, given))
            shown.update(size)
        synchronize(device)
    seconds = time.monotonic() - started
    return model.view.decode(torch.cat(parts)).cpu().numpy(), seconds
