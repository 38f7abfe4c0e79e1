"""What a model is to the rest of the suite: its settings, its objective and its capabilities.

Evaluation asks what a model *can do* (the protocols below), never which family it belongs to.
Shapes: images are ``[n, C, H, W]`` in the model's `domain`; likelihoods are nats summed over pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

import torch
from pydantic import (
    Field,
)
from torch import Tensor, nn

from dgmbench.settings.block import Strict
from dgmbench.settings.budget import TrainingBudget
from dgmbench.terms import Domain, View


class ModelSettings(Strict):
    """The settings every model entry has; families add their own."""

    family: str = Field(description="key of dgmbench.models.registry.FAMILIES")
    view: View = Field(description="binary or gray")
    training: TrainingBudget = TrainingBudget()


class GenerativeModel(nn.Module):
    """A trainable model of images; subclasses set `Settings`, `views` and implement `step`.

    Args:
        settings: an instance of the class's `Settings`.
        image_shape: ``(C, H, W)``.
        levels: L, the number of intensity levels of the discrete image.
    """

    Settings: ClassVar[type[ModelSettings]]
    views: ClassVar[tuple[View, ...]] = ("binary", "gray")
    # The players of the objective, each with an optimiser of its own, in the order they move.
    phases: ClassVar[tuple[str, ...]] = ("model",)
    # The validation loss that picks the best epoch; None where no loss ranks epochs (GANs).
    selection_loss: ClassVar[str | None] = "loss"

    def __init__(self, settings: ModelSettings, image_shape: tuple[int, int, int], levels: int) -> None:
        super().__init__()
        self.view: View = settings.view
        self.image_shape = image_shape
        self.dims = math.prod(image_shape)
        self.levels = levels

    @property
    def domain(self) -> Domain:
        """The form of x that this model's methods take."""
        return "binary" if self.view == "binary" else "dequantised"

    def parameter_count(self) -> int:
        """Free parameters of the model."""
        return sum(parameter.numel() for parameter in self.parameters())

    def phase_parameters(self, phase: str) -> Iterable[nn.Parameter]:
        """The parameters that `phase` moves."""
        return self.parameters()

    def phases_at(self, step: int) -> tuple[str, ...]:
        """Which phases move on the batch of a step (from 0), in order; each step has a batch of its own."""
        return self.phases

    def rate_of(self, phase: str) -> float:
        """What the step size of a phase is multiplied by."""
        return 1.0

    def after_step(self, phase: str) -> None:
        """Told after each move of `phase`, outside of autograd; averages of parameters belong in buffers."""

    def step(self, x: Tensor, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Named losses of a batch, means over its images; ``"loss"`` is the one to descend."""
        raise NotImplementedError

    def validation_losses(self, x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Named losses of held-out images, means over the batch; no gradient is needed."""
        return self.step(x, self.phases[0], generator)
