"""How a training is executed, and its outcome with its learning curves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from dgmbench.models.base import Model
from dgmbench.training.ranks import Ranks

HISTORY_COLUMNS = ("step", "epoch", "split", "name", "value")
# The status of a run that was not trained, since its data set lacks the labels that it needs.
UNAVAILABLE = "unavailable"
Row = tuple[int, int, str, str, float]


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
    watch: Callable[[int, Model, float], None] | None = None
    quiet: bool = False
    ranks: Ranks = field(default_factory=Ranks)


@dataclass
class Outcome:
    """What a training gave; the model itself holds the kept parameters.

    `status` is "completed", "diverged", "collapsed" or "unavailable", `reason` why it is one of the latter.
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
