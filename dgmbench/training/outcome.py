"""What a training is given and what it gives: images, how it is executed, and the outcome with its curves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from dgmbench.data.views import batch as view_batch
from dgmbench.models.base import GenerativeModel
from dgmbench.training.seeding import generator_for

HISTORY_COLUMNS = ("step", "epoch", "split", "name", "value")
Row = tuple[int, int, str, str, float]


@dataclass(frozen=True)
class Images:
    """Discrete images of a data set on the training device: uint8 ``[n, C, H, W]``, levels 0..L-1."""

    train: Tensor
    valid: Tensor
    valid_binary: Tensor | None
    levels: int
    data_seed: int

    def validation_view(self, model: GenerativeModel) -> Tensor:
        """Validation images in the model's domain, by the fixed binarisation or a fixed dequantisation."""
        if model.domain == "binary" and self.valid_binary is not None:
            return self.valid_binary.float()
        noise = generator_for("dequantise", "valid", self.data_seed, device=self.valid.device)
        return view_batch(self.valid, self.levels, model.domain, noise)


@dataclass(frozen=True)
class How:
    """How a run is executed, as opposed to what is trained.

    `watch` is called after each epoch with its number, the model and the best validation loss so far
    (infinite where no loss ranks epochs). What it raises ends the training. quiet: no progress bar.
    """

    device: torch.device
    precision: str = "float32"
    checkpoint: Path | None = None
    checkpoint_seconds: float = 30.0
    fingerprint: str = ""
    label: str = "training"
    watch: Callable[[int, GenerativeModel, float], None] | None = None
    quiet: bool = False


@dataclass
class Outcome:
    """What a training gave; the model itself holds the kept parameters.

    `status` is "completed", "diverged" or "collapsed", `reason` why it is one of the latter.
    """

    status: str
    reason: str | None
    steps: int
    selected_step: int
    seconds: float
    history: list[Row] = field(default_factory=list)


def curves(history: Iterable[Row]) -> dict[str, list[float]]:
    """Values in order by ``<split>/<name>``."""
    found: dict[str, list[float]] = {}
    for _, _, split, name, value in history:
        found.setdefault(f"{split}/{name}", []).append(value)
    return found
