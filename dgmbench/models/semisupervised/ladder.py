"""The ladder network's Gamma model (Rasmus et al. 2015): a denoising cost at the top layer alone.

One encoder runs twice: clean, and with Gaussian noise on its inputs and after every batch norm. The labelled
images' cross-entropy is that of the noisy pass. At the top layer the unlabelled images' noisy values z~ and
the noisy prediction give an estimate of the clean values z, whose squared error is the other cost. Labelled
and unlabelled images have batches of their own in batch norm. Widths, noise and weights are those of the
authors' code for MNIST with 100 labels.

Deviation from that code: running moments of batch norm are those of the unlabelled images, where it takes
the labelled ones'.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Supervision
from dgmbench.models.semisupervised.classifier import ImageClassifier, known_labels, several
from dgmbench.models.semisupervised.denoising import VanillaCombinator, standardised
from dgmbench.models.semisupervised.noise import with_noise
from dgmbench.models.semisupervised.settings import PartialSettings
from dgmbench.settings.budget import Schedule, TrainingBudget

EPSILON = 1e-10


class LadderTraining(TrainingBudget):
    """The budget of the paper's MNIST experiments."""

    epochs: PositiveInt = Field(150, description="passes over the training images")
    learning_rate: float = Field(2e-3, gt=0, description="Adam's step size at the start")
    schedule: Schedule = Field(
        "late_linear", description="late_linear: constant for two thirds, then falling to 0"
    )


class LadderSettings(PartialSettings):
    """Widths, noise and the weight of the denoising cost."""

    hidden: list[PositiveInt] = Field(
        [1000, 500, 250, 250, 250], min_length=1, description="widths of the hidden layers"
    )
    noise: NonNegativeFloat = Field(0.3, description="deviation of the noise on pixels and on all layers")
    weight: NonNegativeFloat = Field(0.5, description="of the denoising cost")
    training: LadderTraining = LadderTraining()


@dataclass(frozen=True)
class Top:
    """The top layer of a pass.

    Args:
        values: z, after batch norm and noise.
        mean: of the values before batch norm, over the batch.
        variance: of the same.
        logits: of the prediction.
        hidden: the layer below, ``[n, width]``.
    """

    values: Tensor
    mean: Tensor
    variance: Tensor
    logits: Tensor
    hidden: Tensor


class LadderEncoder(nn.Module):
    """Linear layers, batch norm, noise, a bias and ReLU; the logits have a gain as well.

    Args:
        sizes: width of the inputs, of the hidden layers and of the logits.
        momentum: of the running moments.
    """

    def __init__(self, sizes: list[int], momentum: float = 0.1) -> None:
        super().__init__()
        self.linear, self.norms, self.biases = nn.ModuleList(), nn.ModuleList(), nn.ParameterList()
        for inputs, outputs in itertools.pairwise(sizes):
            linear = nn.Linear(inputs, outputs, bias=False)
            nn.init.normal_(linear.weight, std=1 / math.sqrt(inputs))
            self.linear.append(linear)
            self.norms.append(nn.BatchNorm1d(outputs, eps=EPSILON, momentum=momentum, affine=False))
            self.biases.append(nn.Parameter(torch.zeros(outputs)))
        self.gain = nn.Parameter(torch.ones(sizes[-1]))

    def forward(self, x: Tensor, noise: torch.Generator | None, deviation: float, *, keep: bool) -> Top:
        """The top layer for ``x [n, inputs]``.

        Args:
            x: inputs.
            noise: draws the noise; None for the clean pass.
            deviation: of the noise.
            keep: whether this batch moves the running moments.
        """
        below, last = with_noise(x, deviation, noise), len(self.linear) - 1
        for place, (linear, bias) in enumerate(zip(self.linear, self.biases, strict=True)):
            values, mean, variance = self._normal(place, linear(below), keep)
            values = with_noise(values, deviation, noise)
            if place < last:
                below = F.relu(values + bias)
        return Top(values, mean, variance, self.gain * (values + bias), below)

    def _normal(self, place: int, values: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised by the batch in training, by the running moments otherwise; and by what."""
        norm = self.norms[place]
        assert isinstance(norm, nn.BatchNorm1d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        if not self.training:
            return norm(values), norm.running_mean, norm.running_var
        if keep:
            # For its running moments; what it gives is computed once more, with them at hand.
            norm(values.detach())
        return standardised(values, EPSILON)


class Ladder(ImageClassifier):
    """A classifier whose top layer is denoised."""

    Settings = LadderSettings
    supervision: ClassVar[Supervision] = "partial"

    def __init__(self, settings: LadderSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.settings = settings
        self.encoder = LadderEncoder([self.dims, *settings.hidden, self.classes])
        self.combinator = VanillaCombinator(self.classes)

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy of the labelled images, denoising cost of the others, and their weighted sum."""
        labelled = batch.labelled()
        label = known_labels(labelled)
        noisy = self._pass(several(self.flat(labelled.x)), generator)
        named = {
            "supervised": F.cross_entropy(noisy.logits[: len(label)], label),
            "denoising": self._denoising(self.flat(batch.unlabelled().x), generator),
        }
        return {"loss": named["supervised"] + self.settings.weight * named["denoising"]} | named

    def _denoising(self, pool: Tensor, noise: torch.Generator) -> Tensor:
        # The rest of an epoch may be a single image: it has no variance, by which the cost would be divided.
        if len(pool) == 1:
            return pool.new_zeros(())
        clean, noisy = self._pass(pool, None, keep=True), self._pass(pool, noise)
        return denoising_cost(self.combinator, clean, noisy)

    def _pass(self, x: Tensor, noise: torch.Generator | None, *, keep: bool = False) -> Top:
        return self.encoder(x, noise, self.settings.noise, keep=keep)

    def logits(self, x: Tensor) -> Tensor:
        """``[n, classes]`` of the clean pass."""
        return self._pass(self.flat(x), None).logits

    def encode(self, x: Tensor) -> Tensor:
        """The last hidden layer of the clean pass, ``[n, width]``."""
        return self._pass(self.flat(x), None).hidden


def denoising_cost(combinator: VanillaCombinator, clean: Top, noisy: Top) -> Tensor:
    """Mean squared error of the estimates of z, over images and units (eq. 3 and 4).

    The signal from above is the noisy prediction, standardised over the batch. Estimates are of the values
    before batch norm and go through the clean pass's batch norm, so that z cannot shrink to lower the cost.
    """
    above, _, _ = standardised(noisy.logits.softmax(1), EPSILON)
    estimate = combinator(noisy.values, above)
    normalised = (estimate - clean.mean) * torch.rsqrt(clean.variance + EPSILON)
    return (normalised - clean.values).square().mean()
