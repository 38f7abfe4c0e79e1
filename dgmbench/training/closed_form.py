"""Training a model: by its closed form if it has one, else by the loop."""

from __future__ import annotations

import math
import time

import torch

from dgmbench.models.base import Model
from dgmbench.models.hooks import ClosedForm
from dgmbench.settings.budget import TrainingBudget
from dgmbench.training.examples import Examples
from dgmbench.training.outcome import How, Outcome, Row
from dgmbench.training.seeding import derive_seed
from dgmbench.training.trainer import Trainer


def fit_closed_form(model: Model, examples: Examples, seed: int, how: How) -> Outcome:
    """Fit a model that has a closed form; its one curve point is the validation loss."""
    assert isinstance(model, ClosedForm)
    started = time.monotonic()
    model.to(how.device)
    noise = torch.Generator(how.device).manual_seed(derive_seed("noise", seed))
    train = examples.whole(model.view, noise)
    losses = model.fit(train, examples.validation(model.view), noise)
    model.eval()
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    status, reason = ("diverged", f"{bad[0]} was not finite") if bad else ("completed", None)
    history: list[Row] = [(1, 1, "valid", name, value) for name, value in losses.items()]
    return Outcome(status, reason, 1, 1, time.monotonic() - started, history)


def train(model: Model, examples: Examples, budget: TrainingBudget, seed: int, how: How) -> Outcome:
    """Train `model` on the examples, by its closed form if it has one; it then holds the kept parameters."""
    if isinstance(model, ClosedForm):
        return fit_closed_form(model, examples, seed, how)
    return Trainer(model, examples, budget, seed, how).run()
