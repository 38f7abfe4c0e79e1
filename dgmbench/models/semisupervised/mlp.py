"""A multi-layer perceptron trained by cross-entropy on a few labelled images and nothing else."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.models.base import Supervision
from dgmbench.models.semisupervised.classifier import classification_losses, known_labels
from dgmbench.models.semisupervised.perceptron import Perceptron, PerceptronSettings


class MLPClassifier(Perceptron):
    """p(y|x)."""

    Settings = PerceptronSettings
    supervision: ClassVar[Supervision] = "labelled"

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean cross-entropy in nats per image, and the error in percent.

        Raises:
            ValueError: for a batch with unlabelled images.
        """
        return classification_losses(self.body(self.flat(batch.x), generator), known_labels(batch))
