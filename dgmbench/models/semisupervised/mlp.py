"""A multi-layer perceptron trained by cross-entropy on a few labelled images and nothing else."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Supervision
from dgmbench.models.parts.mlp import Activation
from dgmbench.models.semisupervised.classifier import (
    ImageClassifier,
    MLPBody,
    classification_losses,
    known_labels,
)
from dgmbench.models.semisupervised.settings import LabelledSettings


class MLPSettings(LabelledSettings):
    """Its body, and how much of it is dropped in training."""

    hidden: list[PositiveInt] = Field([500, 500], min_length=1, description="widths of the hidden layers")
    activation: Activation = Field("relu", description="of the hidden layers")
    input_dropout: float = Field(0.0, ge=0, lt=1, description="share of pixels dropped in training")
    dropout: float = Field(0.5, ge=0, lt=1, description="share of hidden units dropped in training")


class MLPClassifier(ImageClassifier):
    """p(y|x)."""

    Settings = MLPSettings
    supervision: ClassVar[Supervision] = "labelled"

    def __init__(self, settings: MLPSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.body = MLPBody(
            self.dims, settings.hidden, self.classes, settings.activation,
            settings.input_dropout, settings.dropout,
        )  # fmt: skip

    def encode(self, x: Tensor) -> Tensor:
        """The last hidden layer ``[n, width]``."""
        return self.body.features(self._flat(x))

    def logits(self, x: Tensor) -> Tensor:
        """``[n, classes]``, by all units."""
        return self.body(self._flat(x))

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean cross-entropy in nats per image, and the error in percent.

        Raises:
            ValueError: for a batch with unlabelled images.
        """
        return classification_losses(self.body(self._flat(batch.x), generator), known_labels(batch))

    def _flat(self, x: Tensor) -> Tensor:
        return self.intensities(x).flatten(1)
