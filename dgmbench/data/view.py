"""What a view is: how a model sees the examples of a data set; `dgmbench.data.views` has them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.terms import Kind, ViewName

if TYPE_CHECKING:
    from dgmbench.data.dataset import Dataset


@dataclass(frozen=True)
class Reading:
    """Log-likelihoods of n examples in one unit, and what kind of number they are there."""

    unit: str
    values: Tensor
    kind: Kind


class View(ABC):
    """One way to see a data set."""

    name: ViewName
    # The shape of an example of x.
    shape: tuple[int, ...]
    # Whether x has a density, rather than probabilities.
    continuous: ClassVar[bool] = False

    @abstractmethod
    def observe(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Raw examples as the discrete values that are modelled; drawn where the view binarises."""

    @abstractmethod
    def encode(self, observed: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Observed examples as x."""

    @abstractmethod
    def decode(self, x: Tensor) -> Tensor:
        """Draws of a model as observed examples.

        Raises:
            ValueError: they hold values that are not finite, or not of this view.
        """

    @abstractmethod
    def display(self, observed: Tensor) -> Tensor:
        """Observed examples as they are shown and compared pixel by pixel: float32 in [0, 1]."""

    @abstractmethod
    def measure(self, log_probs: Tensor, kind: Kind) -> list[Reading]:
        """Log-likelihoods ``[n]`` of x in nats, in every unit that they are reported in."""

    @abstractmethod
    def fixed(self, data: Dataset, split: str, generator: torch.Generator | None = None) -> Tensor:
        """Observed examples of a split, the same at every call: no noise but the data set's own.

        generator: draws the binarisation of the training split, which has no fixed one.
        """

    def mask(self, x: Tensor) -> Tensor | None:
        """Which parts of x are data, bool; None: all are."""
        return None

    def batch(
        self,
        raw: Tensor,
        generator: torch.Generator | None = None,
        label: Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Batch:
        """Raw examples as a batch, with the noise of this view drawn."""
        return self.held_out(self.observe(raw, generator), generator, label, condition)

    def held_out(
        self,
        observed: Tensor,
        generator: torch.Generator | None = None,
        label: Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Batch:
        """Observed examples as a batch."""
        x = self.encode(observed, generator)
        return Batch(x, label, condition, self.mask(x))

    @property
    def is_binary(self) -> bool:
        """Whether pixels are 0 or 1."""
        return self.name == "binary"
