"""What classifiers trained by gradient steps have in common: inputs, losses, and a body of hidden layers.

Dropout draws from the generator of the training, so that a resumed training is the same to the bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Model, ModelSettings
from dgmbench.models.parts.mlp import ACTIVATIONS
from dgmbench.models.semisupervised.settings import classes_of
from dgmbench.terms import ViewName


class ImageClassifier(Model):
    """p(y|x) of images, by logits that a subclass gives; x holds levels.

    Epochs are chosen by the error on the labelled validation images.
    """

    views: ClassVar[tuple[ViewName, ...]] = ("gray", "binary", "color")
    selection_loss: ClassVar[str | None] = "error"

    def __init__(self, settings: ModelSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.classes = classes_of(schema)

    @classmethod
    def takes_densities(cls, settings: Any) -> bool:
        """No: a classifier needs no density of x, so no noise."""
        return False

    def intensities(self, x: Tensor) -> Tensor:
        """Levels as float32 in [0, 1], of the same shape."""
        return x.float() / (self.levels - 1)

    def flat(self, x: Tensor) -> Tensor:
        """Intensities ``[n, d]`` of levels ``x [n, C, H, W]``."""
        return self.intensities(x).flatten(1)

    def logits(self, x: Tensor) -> Tensor:
        """``[n, classes]`` of ``x [n, C, H, W]``, without noise of training."""
        raise NotImplementedError

    def predict(self, x: Tensor) -> Tensor:
        """``[n, classes]`` class probabilities."""
        return self.logits(x).softmax(1)

    def validation_losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The cross-entropy and the error of images as they are."""
        return classification_losses(self.logits(batch.x), known_labels(batch))


def classification_losses(logits: Tensor, label: Tensor) -> dict[str, Tensor]:
    """Mean cross-entropy in nats, and the error in percent, of ``logits [n, classes]`` and labels ``[n]``."""
    return {"loss": F.cross_entropy(logits, label), "error": error_percent(logits, label)}


def several(rows: Tensor) -> Tensor:
    """The rows; a single one twice, since batch norm can make nothing of one."""
    return torch.cat([rows, rows]) if len(rows) == 1 else rows


def error_percent(scores: Tensor, label: Tensor) -> Tensor:
    """Percent of rows whose largest score is not that of the label."""
    return 100.0 * (scores.detach().argmax(1) != label).float().mean()


def known_labels(batch: Batch) -> Tensor:
    """The labels ``[n]`` of a batch of labelled images.

    Raises:
        ValueError: for a batch with unlabelled images.
    """
    if batch.label is None or bool((batch.label < 0).any()):
        raise ValueError("a supervised classifier trains on labelled images alone")
    return batch.label


def dropped(values: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Values with a share of them zero at random and the others divided by 1 - share."""
    if share == 0:
        return values
    keep = torch.rand(values.shape, generator=generator, device=values.device) >= share
    return values * keep / (1 - share)


class MLPBody(nn.Module):
    """Hidden layers with an activation and a linear layer of logits; dropout where a generator is given.

    Args:
        inputs: numbers of an example.
        hidden: widths.
        classes: logits.
        activation: of `dgmbench.models.parts.mlp`.
        input_dropout: share of inputs dropped.
        dropout: share of units dropped in each hidden layer.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        classes: int,
        activation: str = "relu",
        input_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in itertools.pairwise([inputs, *hidden]))
        self.head = nn.Linear([inputs, *hidden][-1], classes)
        self.activation = ACTIVATIONS[activation]()
        self.shares = [input_dropout, *[dropout] * len(hidden)]

    def features(self, flat: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The last hidden layer ``[n, width]`` of ``flat [n, inputs]``."""
        values = self._dropped(flat, 0, generator)
        for place, layer in enumerate(self.layers, start=1):
            values = self._dropped(self.activation(layer(values)), place, generator)
        return values

    def forward(self, flat: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Logits ``[n, classes]``; a generator draws dropout."""
        return self.head(self.features(flat, generator))

    def _dropped(self, values: Tensor, place: int, generator: torch.Generator | None) -> Tensor:
        return values if generator is None else dropped(values, self.shares[place], generator)
