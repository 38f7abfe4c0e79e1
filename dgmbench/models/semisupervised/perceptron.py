"""The multi-layer perceptron of classifiers: its settings, and what it gives for images."""

from __future__ import annotations

from pydantic import Field, PositiveInt
from torch import Tensor

from dgmbench.data.schema import Schema
from dgmbench.models.parts.mlp import Activation
from dgmbench.models.semisupervised.classifier import ImageClassifier, MLPBody
from dgmbench.models.semisupervised.settings import LabelledSettings


class PerceptronSettings(LabelledSettings):
    """Its body, and how much of it is dropped in training."""

    hidden: list[PositiveInt] = Field([500, 500], min_length=1, description="widths of the hidden layers")
    activation: Activation = Field("relu", description="of the hidden layers")
    input_dropout: float = Field(0.0, ge=0, lt=1, description="share of pixels dropped in training")
    dropout: float = Field(0.5, ge=0, lt=1, description="share of hidden units dropped in training")


class Perceptron(ImageClassifier):
    """p(y|x) by hidden layers; subclasses train it."""

    def __init__(self, settings: PerceptronSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.body = MLPBody(
            self.dims, settings.hidden, self.classes, settings.activation,
            settings.input_dropout, settings.dropout,
        )  # fmt: skip

    def encode(self, x: Tensor) -> Tensor:
        """The last hidden layer ``[n, width]``."""
        return self.body.features(self.flat(x))

    def logits(self, x: Tensor) -> Tensor:
        """``[n, classes]``, by all units."""
        return self.body(self.flat(x))
