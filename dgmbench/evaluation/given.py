"""Images of any origin, as measures of samples see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from dgmbench.data.view import View
from dgmbench.evaluation.judged import Judged
from dgmbench.results import Origin
from dgmbench.training.devices import device_name

# Intensities may miss a level by so much of the step between two.
ROUNDING = 1e-3


@dataclass
class Given(Judged):
    """Samples whose model is not at hand.

    Args:
        images: uint8 ``[n, C, H, W]`` as the view observes them, or float32 intensities in [0, 1].
        own_view: how they see the data set.
        called: what records call their model.
        number: what records give as its training seed.
        real: images as the view observes them, by split, in place of the data set's.
    """

    images: Tensor = field(kw_only=True)
    own_view: View = field(kw_only=True)
    called: str = field(default="samples", kw_only=True)
    number: int = field(default=0, kw_only=True)
    real: Mapping[str, Tensor] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if self.real and self.settings.store is not None:
            raise ValueError("what is remembered is of the data set's images: give no store with others")

    @property
    def origin(self) -> Origin:
        """What its records have in common."""
        return Origin(self.data.name, self.view.name, self.called, self.number, device_name(self.device))

    @property
    def view(self) -> View:
        """How the samples see the data set."""
        return self.own_view

    def raw(self, split: str, limit: int | None = None) -> Tensor:
        """Real images as the view observes them, ``[n, C, H, W]``; the first `limit` of them."""
        return self.real[split][:limit] if split in self.real else super().raw(split, limit)

    def size(self, split: str) -> int:
        """How many real images a split has."""
        return len(self.real[split]) if split in self.real else super().size(split)

    @cached_property
    def samples(self) -> Tensor:
        """The images as levels.

        Raises:
            ValueError: for intensities between the levels of the view.
        """
        if not self.images.is_floating_point():
            return self.images
        scaled = self.images * (self.levels - 1)
        if bool(((scaled - scaled.round()).abs() > ROUNDING).any()):
            raise ValueError(f"the samples have intensities between the {self.levels} levels of the data set")
        return scaled.round().to(torch.uint8)

    def sample_pixels(self, limit: int | None = None) -> Tensor:
        """Samples as float32 intensities in [0, 1]."""
        images = self.images[:limit]
        return images if images.is_floating_point() else self.view.display(images)
