"""Training a model: by its closed form if it has one, else by the loop."""

from __future__ import annotations

import math
import time

import torch

from dgmbench.data.views import batch as view_batch
from dgmbench.models.base import GenerativeModel
from dgmbench.models.capabilities import ClosedForm
from dgmbench.settings.budget import TrainingBudget
from dgmbench.training.outcome import How, Images, Outcome, Row
from dgmbench.training.seeding import derive_seed
from dgmbench.training.trainer import Trainer


def fit_closed_form(model: GenerativeModel, images: Images, seed: int, how: How) -> Outcome:
    """Fit a model that has a closed form; its one curve point is the validation loss."""
    assert isinstance(model, ClosedForm)
    started = time.monotonic()
    model.to(how.device)
    noise = torch.Generator(how.device).manual_seed(derive_seed("noise", seed))
    train = view_batch(images.train, images.levels, model.domain, noise)
    losses = model.fit(train, images.validation_view(model), noise)
    model.eval()
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    status, reason = ("diverged", f"{bad[0]} was not finite") if bad else ("completed", None)
    history: list[Row] = [(1, 1, "valid", name, value) for name, value in losses.items()]
    return Outcome(status, reason, 1, 1, time.monotonic() - started, history)


def train(model: GenerativeModel, images: Images, budget: TrainingBudget, seed: int, how: How) -> Outcome:
    """Train `model` on `images`, by its closed form if it has one; it then holds the kept parameters."""
    if isinstance(model, ClosedForm):
        return fit_closed_form(model, images, seed, how)
    return Trainer(model, images, budget, seed, how).run()
