"""Which optimiser a budget asks for, and what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from dgmbench.data.schema import image_schema
from dgmbench.models.latent.vae import VAE, VAESettings
from dgmbench.settings.budget import TrainingBudget
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Part
from dgmbench.training.outcome import How
from dgmbench.training.seeding import initialising
from dgmbench.training.trainer import Trainer

RMSPROP: dict[str, Any] = {"optimiser": "rmsprop", "betas": (0.0, 0.9), "epsilon": 1e-3, "epochs": 2}


def small() -> VAE:
    with initialising("test", 0):
        base = {"family": "vae", "view": "binary", "hidden": [4]}
        return VAE(VAESettings.model_validate(base), image_schema((1, 2, 2), 2))


def images() -> Examples:
    generator = torch.Generator().manual_seed(0)
    train_set, valid = (torch.randint(2, (n, 1, 2, 2), generator=generator).byte() for n in (40, 10))
    return Examples(Part(train_set), Part(valid), 0, valid)


def trainer(**settings: Any) -> Trainer:
    return Trainer(small(), images(), TrainingBudget(**settings), 0, How(torch.device("cpu")))


def test_rmsprop_divides_by_the_root_of_the_mean_square() -> None:
    """Two steps by hand: v = 0.9 v + 0.1 g^2, then g / (sqrt(v) + epsilon)."""
    optimiser = trainer(**RMSPROP, learning_rate=0.01).optimisers["model"]
    (weight, *_) = optimiser.param_groups[0]["params"]
    expected, square = weight.detach().clone(), torch.zeros_like(weight)
    for factor in (1.0, -2.0):
        gradient = factor * torch.arange(1.0, 1 + weight.numel()).view_as(weight)
        square = 0.9 * square + 0.1 * gradient**2
        expected -= 0.01 * gradient / (square.sqrt() + 1e-3)
        weight.grad = gradient
        optimiser.step()
    torch.testing.assert_close(weight.detach(), expected)


def test_adam_is_what_a_budget_takes_by_itself() -> None:
    optimiser = trainer(betas=(0.5, 0.9), epsilon=1e-4).optimisers["model"]
    assert isinstance(optimiser, torch.optim.Adam)
    assert optimiser.defaults["betas"] == (0.5, 0.9) and optimiser.defaults["eps"] == 1e-4


def test_a_first_moment_is_refused_where_there_is_none() -> None:
    with pytest.raises(ValidationError, match=r"rmsprop has no first moment: betas: \[0.0, 0.999\]"):
        TrainingBudget(optimiser="rmsprop")


def test_an_interrupted_run_of_rmsprop_ends_as_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = TrainingBudget(**RMSPROP, batch_size=8)
    how = How(torch.device("cpu"), checkpoint=tmp_path / "c", checkpoint_seconds=1e-9, fingerprint="x")
    whole, resumed = small(), small()
    train(whole, images(), budget, 0, How(torch.device("cpu")))
    original = Trainer._step

    def dying(self: Trainer, chosen: Tensor) -> dict[str, Tensor]:
        if self.progress.step == 4:
            raise KeyboardInterrupt
        return original(self, chosen)

    monkeypatch.setattr(Trainer, "_step", dying)
    with pytest.raises(KeyboardInterrupt):
        train(small(), images(), budget, 0, how)
    monkeypatch.setattr(Trainer, "_step", original)
    train(resumed, images(), budget, 0, how)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
