"""A convolutional classifier trained on a few labelled images: the supervised baseline of semi-supervised
learning, which sees nothing of the images without a label.

Two 3x3 convolutions, each with batch norm, ReLU and 2x2 max-pooling, then a hidden layer with dropout and the
logits. Trained by cross-entropy. Training images are shifted by up to `shift` pixels, the one augmentation
that respects every data set here; held-out images are seen as they are.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import SettingsError
from dgmbench.models.base import Supervision
from dgmbench.models.semisupervised.classifier import (
    ImageClassifier,
    classification_losses,
    dropped,
    known_labels,
    several,
)
from dgmbench.models.semisupervised.settings import LabelledSettings
from dgmbench.settings.block import Pair


class ConvNetSettings(LabelledSettings):
    """Its widths and what is done to images in training."""

    channels: Pair[PositiveInt] = Field((32, 64), description="features of the two convolutions")
    hidden: PositiveInt = Field(64, description="width of the hidden layer")
    dropout: float = Field(0.5, ge=0, lt=1, description="share of hidden units dropped in training")
    shift: NonNegativeInt = Field(1, description="pixels that a training image may be shifted by")


class ConvNet(ImageClassifier):
    """p(y|x)."""

    Settings = ConvNetSettings
    supervision: ClassVar[Supervision] = "labelled"

    def __init__(self, settings: ConvNetSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.shift, self.dropout = settings.shift, settings.dropout
        channels, height, width = self.image_shape
        first, second = settings.channels
        self.convolutions = nn.Sequential(
            *self._block(channels, first), *self._block(first, second), nn.Flatten()
        )
        flat = second * (height // 4) * (width // 4)
        if flat == 0:
            raise SettingsError(f"a {height}x{width} image is too small: 4 pixels a side are needed")
        self.hidden = nn.Linear(flat, settings.hidden)
        self.head = nn.Linear(settings.hidden, self.classes)

    @staticmethod
    def _block(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]

    def encode(self, x: Tensor) -> Tensor:
        """The hidden layer, ``[n, hidden]``."""
        return F.relu(self.hidden(self.convolutions(self.intensities(x))))

    def logits(self, x: Tensor) -> Tensor:
        """``[n, classes]``."""
        return self.head(self.encode(x))

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean cross-entropy in nats per image, and the error in percent.

        Raises:
            ValueError: for a batch with unlabelled images.
        """
        # The end of an epoch may be a single image.
        x, label = several(_shifted(batch.x, self.shift, generator)), several(known_labels(batch))
        hidden = dropped(self.encode(x), self.dropout, generator)
        return classification_losses(self.head(hidden), label)


def _shifted(x: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each image ``x [n, C, H, W]`` moved by up to `most` pixels in both directions, zeros moving in."""
    if most == 0:
        return x
    n, channels, height, width = x.shape
    padded = F.pad(x, (most, most, most, most))
    moves = torch.randint(2 * most + 1, (2, n), generator=generator, device=x.device)
    rows = moves[0][:, None] + torch.arange(height, device=x.device)
    columns = moves[1][:, None] + torch.arange(width, device=x.device)
    images = torch.arange(n, device=x.device)[:, None, None, None]
    features = torch.arange(channels, device=x.device)[None, :, None, None]
    return padded[images, features, rows[:, None, :, None], columns[:, None, None, :]]
