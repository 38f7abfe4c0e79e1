"""Multinomial logistic regression on the pixels of a few labelled images, by scikit-learn.

p(y|x) = softmax(W v + b), v the intensities in [0, 1] as they are. The penalty |W|^2 / (2 C) is chosen on the
labelled validation images, by their error and then by their cross-entropy.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from pydantic import Field, PositiveFloat
from threadpoolctl import threadpool_limits
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Supervision
from dgmbench.models.semisupervised.classifier import ImageClassifier, classification_losses, known_labels
from dgmbench.models.semisupervised.settings import LabelledSettings


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
        self.candidates = sorted(settings.strengths)
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
        images, label = self._flat(train.x).cpu().numpy(), known_labels(train).cpu().numpy()
        found = {}
        for strength in self.candidates:
            fitted = self._fitted(images, label, strength)
            self._keep(*fitted)
            losses = classification_losses(self.logits(valid.x), known_labels(valid))
            found[strength] = {name: float(value) for name, value in losses.items()}, fitted
        best = min(found, key=lambda strength: (found[strength][0]["error"], found[strength][0]["loss"]))
        losses_of_best, fitted = found[best]
        self._keep(*fitted)
        return losses_of_best | {"C": best}

    def _fitted(self, images: np.ndarray, label: np.ndarray, strength: float) -> tuple[Tensor, Tensor]:
        """Weights ``[classes, d]`` and biases ``[classes]`` at one strength."""
        # Importing scikit-learn takes seconds, which no other family should wait for.
        from sklearn.linear_model import LogisticRegression

        with threadpool_limits(1):
            model = LogisticRegression(C=strength, max_iter=5000).fit(images, label)
        weight, bias = torch.from_numpy(model.coef_), torch.from_numpy(model.intercept_)
        if len(weight) == 1:
            # Of two classes scikit-learn gives the log-odds of the second.
            weight, bias = torch.cat([torch.zeros_like(weight), weight]), torch.cat([bias.new_zeros(1), bias])
        seen = torch.from_numpy(model.classes_.astype(np.int64))
        all_weights, all_biases = torch.zeros_like(self.weight).cpu(), torch.full((self.classes,), -torch.inf)
        all_weights[seen], all_biases = weight, all_biases.double()
        all_biases[seen] = bias
        return all_weights, all_biases

    def _keep(self, weight: Tensor, bias: Tensor) -> None:
        self.weight.copy_(weight)
        self.bias.copy_(bias)

    def _flat(self, x: Tensor) -> Tensor:
        return x.flatten(1).double() / (self.levels - 1)
