"""Models of several players: whose turn it is, at what step size, and when the training has failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from killing import killed_at
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.models.base import Model, ModelSettings
from dgmbench.settings.budget import TrainingBudget
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Part
from dgmbench.training.outcome import How, Outcome, curves
from dgmbench.training.trainer import Trainer

BUDGET = TrainingBudget(epochs=3, batch_size=10, learning_rate=0.1)
STEPS_PER_EPOCH = 5


class Players(Model):
    """Two numbers, each descended by its own player; `second` moves at every third step."""

    phases: ClassVar[tuple[str, ...]] = ("first", "second")
    selection_loss: ClassVar[str | None] = None

    def __init__(self, limit: float = float("inf")) -> None:
        super().__init__(ModelSettings(family="players", view="gray"), image_schema((1, 1, 1), 2))
        self.values = nn.ParameterDict({phase: nn.Parameter(torch.ones(1)) for phase in self.phases})
        self.register_buffer("told", torch.zeros(2, dtype=torch.int64))
        self.limit = limit
        self.batches: list[Tensor] = []

    def phase_parameters(self, phase: str) -> Iterable[nn.Parameter]:
        return [self.values[phase]]

    def phases_at(self, step: int) -> tuple[str, ...]:
        return self.phases if step % 3 == 2 else self.phases[:1]

    def rate_of(self, phase: str) -> float:
        return 0.5 if phase == "second" else 1.0

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        self.batches.append(batch.x)
        return {"loss": self.values[phase].sum() * 1.0, "size": torch.tensor(float(len(batch)))}

    def after_step(self, phase: str) -> None:
        assert not torch.is_grad_enabled()
        self.told[self.phases.index(phase)] += 1

    def validation_losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        return {"spread": self.values["first"].detach().abs().sum()}

    def collapse(self, found: Mapping[str, Sequence[float]]) -> str | None:
        return "too far" if max(found["valid/spread"]) > self.limit else None


def images() -> Examples:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(2, (48, 1, 1, 1), generator=generator).to(torch.uint8)
    return Examples(Part(drawn), Part(drawn[:7]), 0)


def run(model: Model, checkpoint: Path | None = None) -> Outcome:
    how = How(torch.device("cpu"), checkpoint=checkpoint, checkpoint_seconds=0.0, fingerprint="players")
    return train(model, images(), BUDGET, 0, how)


def test_a_phase_moves_when_it_is_its_turn_and_tells_the_model_after_each_move() -> None:
    model = Players()
    assert run(model).steps == 15
    assert model.told.tolist() == [15, 5]
    # Adam moves by its step size where the gradient never changes.
    assert float(model.values["first"].detach()) == pytest.approx(1 - 15 * 0.1, abs=1e-5)
    assert float(model.values["second"].detach()) == pytest.approx(1 - 5 * 0.1 * 0.5, abs=1e-5)


def test_every_step_has_a_batch_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    original = Trainer._step

    def watching(self: Trainer, chosen: Tensor) -> dict[str, Tensor]:
        seen.append(chosen)
        return original(self, chosen)

    monkeypatch.setattr(Trainer, "_step", watching)
    run(Players())
    epochs = torch.cat(seen).reshape(3, 48)
    assert all(torch.equal(epoch.sort().values, torch.arange(48)) for epoch in epochs)


def test_means_of_an_epoch_are_over_the_batches_in_which_a_phase_moved() -> None:
    found = curves(run(Players()).history)
    # Batches are of 10, 10, 10, 10 and 8 images; the second player moves at steps 2, 5, 8, 11 and 14.
    whole = (4 * 10 * 10 + 8 * 8) / 48
    assert found["train/first_size"] == pytest.approx([whole] * 3)
    assert found["train/second_size"] == pytest.approx([10, 10, (10 * 10 + 8 * 8) / 18])


def test_a_stopped_training_keeps_count_of_its_turns(tmp_path: Path) -> None:
    whole, expected = Players(), run(Players())
    run(whole)
    with killed_at(8):
        run(Players(), tmp_path / "seed-0.ckpt")
    resumed = Players()
    assert run(resumed, tmp_path / "seed-0.ckpt").history == expected.history
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in whole.state_dict().items())


def test_a_collapse_ends_the_training_and_is_told_apart_from_divergence() -> None:
    outcome = run(Players(limit=0.45))
    # 0.5 after the first epoch of five moves.
    assert (outcome.status, outcome.reason) == ("collapsed", "too far in epoch 1")
    assert outcome.steps == STEPS_PER_EPOCH
    assert run(Players(limit=0.55)).status == "completed"
