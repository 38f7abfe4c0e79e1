"""Pseudo-label (Lee 2013): the class that the network finds likeliest is taken for the label of an image.

The loss of a step is eq. 15, L = mean_labelled l(y, f) + alpha(t) mean_unlabelled l(y', f'), y' the argmax of
the network as it is at that step. alpha follows eq. 16: 0 before epoch T1, rising in a straight line to its
last value at epoch T2.

Deviations: the loss is the cross-entropy of a softmax (Lee: of sigmoid units, one for each class), and the
optimiser is the suite's (Lee: SGD with momentum). y' is found without dropout, which the paper leaves open.
"""

from __future__ import annotations

from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Supervision
from dgmbench.models.semisupervised.classifier import error_percent
from dgmbench.models.semisupervised.perceptron import Perceptron, PerceptronSettings
from dgmbench.models.semisupervised.settings import PartialSettings
from dgmbench.settings.block import Pair
from dgmbench.settings.budget import TrainingBudget


class PseudoLabelTraining(TrainingBudget):
    """As long as the schedule of alpha."""

    epochs: PositiveInt = Field(600, description="passes over the training images")


class PseudoLabelSettings(PerceptronSettings, PartialSettings):
    """The schedule of alpha; its defaults are Lee's without pre-training (section 3.1)."""

    weight: NonNegativeFloat = Field(3.0, description="alpha at the end")
    ramp: Pair[NonNegativeInt] = Field(
        (100, 600), description="T1 and T2: epochs from which alpha rises, and is at its end"
    )

    training: PseudoLabelTraining = PseudoLabelTraining()

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.ramp[0] > self.ramp[1]:
            raise ValueError(f"ramp: {list(self.ramp)} should ascend")
        if self.ramp[0] >= self.training.epochs:
            raise ValueError(
                f"ramp: alpha is 0 before epoch {self.ramp[0]}, and the training has {self.training.epochs}"
            )
        return self


class PseudoLabel(Perceptron):
    """p(y|x), trained on labels and on its own guesses."""

    Settings = PseudoLabelSettings
    supervision: ClassVar[Supervision] = "partial"

    steps: Tensor
    epoch_steps: Tensor

    def __init__(self, settings: PseudoLabelSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.weight, self.ramp = settings.weight, settings.ramp
        self.batch_size = settings.training.batch_size
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("epoch_steps", torch.ones((), dtype=torch.int64))

    def use_training_sizes(self, pool: int, labelled: int) -> None:
        """Epochs are passes over the pool."""
        self.epoch_steps.fill_(-(-pool // self.batch_size))

    def after_step(self, phase: str) -> None:
        """Count the steps, which the schedule follows."""
        self.steps += 1

    def alpha(self, epoch: int) -> float:
        """Eq. 16, of an epoch from 0."""
        first, last = self.ramp
        if epoch < first:
            return 0.0
        return self.weight * (min(epoch, last) - first) / (last - first) if last > first else self.weight

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Eq. 15: the loss, and its parts before they are weighed, means over images of either kind."""
        labelled, unlabelled = batch.labelled(), batch.unlabelled()
        assert labelled.label is not None
        alpha = self.alpha(int(self.steps) // int(self.epoch_steps))
        logits = self.body(self.flat(labelled.x), generator)
        supervised = F.cross_entropy(logits, labelled.label)
        pseudo = self._pseudo_loss(unlabelled.x, generator) if alpha else torch.zeros_like(supervised)
        return {
            "loss": supervised + alpha * pseudo,
            "labelled": supervised.detach(),
            "pseudo": pseudo.detach(),
            "error": error_percent(logits, labelled.label),
        }

    def _pseudo_loss(self, x: Tensor, generator: torch.Generator) -> Tensor:
        with torch.no_grad():
            guess = self.logits(x).argmax(1)
        return F.cross_entropy(self.body(self.flat(x), generator), guess)
