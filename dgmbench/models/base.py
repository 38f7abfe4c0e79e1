"""What a model is to the rest of the suite: its settings, its objective and its capabilities.

Evaluation asks what a model *can do* (`dgmbench.models.capabilities`), never which family it belongs to.
x is what the model's view gives: images ``[n, C, H, W]``, or token ids ``[n, T]``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

import torch
from pydantic import (
    Field,
)
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.data.views import ImageView, view_of
from dgmbench.settings.block import Strict
from dgmbench.settings.budget import TrainingBudget
from dgmbench.terms import LEVELLED, ViewName

# What a model sees of labels: nothing, all examples with the labels that are known, labelled examples alone,
# or the label as the condition that x is given.
Supervision = Literal["none", "partial", "labelled", "condition"]


class ModelSettings(Strict):
    """The settings every model entry has; families add their own."""

    family: str = Field(description="key of dgmbench.models.registry.FAMILIES")
    view: ViewName = Field(description="binary, gray or color (images), or tokens")
    training: TrainingBudget = TrainingBudget()


class Model(nn.Module):
    """A trainable model; subclasses set `Settings`, `views` and implement `step`.

    Args:
        settings: an instance of the class's `Settings`.
        schema: the form of the data set.
    """

    Settings: ClassVar[type[ModelSettings]]
    views: ClassVar[tuple[ViewName, ...]] = ("binary", *LEVELLED)
    supervision: ClassVar[Supervision] = "none"
    # The players of the objective, each with an optimiser of its own, in the order they move.
    phases: ClassVar[tuple[str, ...]] = ("model",)
    # The validation loss that picks the best epoch; None where no loss ranks epochs (GANs).
    selection_loss: ClassVar[str | None] = "loss"

    def __init__(self, settings: ModelSettings, schema: Schema) -> None:
        super().__init__()
        self.schema = schema
        self.view = view_of(settings.view, schema, continuous=self.takes_densities(settings))

    @classmethod
    def takes_densities(cls, settings: Any) -> bool:
        """Whether x of gray and coloured images is dequantised; otherwise it holds levels."""
        return True

    @property
    def image_view(self) -> ImageView:
        """The view of a model of images.

        Raises:
            TypeError: for any other model.
        """
        if not isinstance(self.view, ImageView):
            raise TypeError(f"{type(self).__name__} sees {self.view.name}, not images")
        return self.view

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a model of images."""
        return self.image_view.shape

    @property
    def dims(self) -> int:
        """d = C H W of a model of images."""
        return self.image_view.dims

    @property
    def levels(self) -> int:
        """L of the images as the model's view sees them: 2 when binary."""
        return self.image_view.levels

    @property
    def is_on_gpu(self) -> bool:
        """Whether its parameters lie on a GPU."""
        return any(parameter.is_cuda for parameter in self.parameters())

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
        """Called after each move of `phase`, outside of autograd; parameter averages belong in buffers."""

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Named losses of a batch, means over its examples; ``"loss"`` is the one to descend."""
        raise NotImplementedError

    def forward(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """`step`, through the module's call, which wrappers for several devices need."""
        return self.step(batch, phase, generator)

    def validation_losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Named losses of held-out examples, means over the batch; no gradient is needed."""
        return self.step(batch, self.phases[0], generator)
