"""Multinomial logistic regression on the pixels of a few labelled images, by scikit-learn.

p(y|x) = softmax(W v + b), v the intensities in [0, 1] as they are. The penalty |W|^2 / (2 C) is chosen on the
labelled validation images, by their error and then by their cross-entropy.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Supervision
from dgmbench.models.semisupervised.classifier import ImageClassifier, known_labels
from dgmbench.models.semisupervised.logistic_fit import chosen_logistic
from dgmbench.models.semisupervised.settings import LabelledSettings

# Its own tolerance: of as many weights as pixels a tighter one changes no answer and takes long.
SCIKIT_LEARNS = 1e-4


class LogisticSettings(LabelledSettings):
    """The strengths among which validation chooses."""

    strengths: list[PositiveFloat] = Field(
        [1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0],
        min_length=1,
        description="candidates for C, the inverse of the penalty; the best on validation is kept",
    )


class Logistic(ImageClassifier):
    """Weights and biases in float64, fitted by `fit`."""

    Settings = LogisticSettings
    supervision: ClassVar[Supervision] = "labelled"

    weight: Tensor
    bias: Tensor

    def __init__(self, settings: LogisticSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.strengths = settings.strengths
        self.register_buffer("weight", torch.zeros(self.classes, self.dims, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(self.classes, dtype=torch.float64))

    def parameter_count(self) -> int:
        """(d + 1) c."""
        return self.weight.numel() + self.bias.numel()

    def logits(self, x: Tensor) -> Tensor:
        """``[n, classes]`` float64."""
        return self._flat(x) @ self.weight.T + self.bias

    def fit(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Fit to the labelled ``train [n, C, H, W]`` and keep the strength that is best on `valid`."""
        known, held_out = ((self._flat(each.x), known_labels(each)) for each in (train, valid))
        found = chosen_logistic(known, held_out, self.classes, self.strengths, SCIKIT_LEARNS)
        self.weight.copy_(found.weight)
        self.bias.copy_(found.bias)
        return found.losses | {"C": found.C}

    def _flat(self, x: Tensor) -> Tensor:
        return x.flatten(1).double() / (self.levels - 1)
