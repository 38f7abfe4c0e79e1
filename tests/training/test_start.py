"""Models that start from a few training examples: what they are given, and that a resumed run is exact."""

from __future__ import annotations

from pathlib import Path

import torch
from killing import killed_at
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.models.base import Model, ModelSettings
from dgmbench.settings.budget import TrainingBudget
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Part
from dgmbench.training.outcome import How, Outcome

BUDGET = TrainingBudget(epochs=3, batch_size=10, learning_rate=0.1)


class Started(Model):
    """A number that starts at the mean of a few images and a draw, and is drawn to those of each batch."""

    start_examples = 7

    def __init__(self) -> None:
        super().__init__(ModelSettings(family="started", view="gray"), image_schema((1, 1, 1), 256))
        self.value = nn.Parameter(torch.zeros(()))
        self.given: list[Tensor] = []

    @torch.no_grad()
    def start_from(self, batch: Batch, generator: torch.Generator) -> None:
        self.given.append(batch.x)
        self.value.copy_(batch.x.mean() + torch.randn((), generator=generator))

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        return {"loss": (batch.x.mean() - self.value + torch.randn((), generator=generator)).square()}


def images() -> Examples:
    drawn = torch.randint(256, (48, 1, 1, 1), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    return Examples(Part(drawn), Part(drawn[:7]), 0)


def run(model: Model, seed: int = 0, checkpoint: Path | None = None) -> Outcome:
    how = How(torch.device("cpu"), checkpoint=checkpoint, checkpoint_seconds=0.0, fingerprint="started")
    return train(model, images(), BUDGET, seed, how)


def test_it_is_given_so_many_examples_once_by_the_seed() -> None:
    models = [Started() for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        run(model, seed)
        assert [len(x) for x in model.given] == [7]
    assert torch.equal(models[0].given[0], models[1].given[0])
    assert not torch.equal(models[0].given[0], models[2].given[0])


def test_a_resumed_training_gives_the_same_bits(tmp_path: Path) -> None:
    whole, resumed = Started(), Started()
    expected = run(whole)
    with killed_at(8):
        run(Started(), checkpoint=tmp_path / "seed-0.ckpt")
    assert run(resumed, checkpoint=tmp_path / "seed-0.ckpt").history == expected.history
    assert torch.equal(resumed.value, whole.value)
