"""Where a run stands."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from dgmbench.training.outcome import Row
from dgmbench.training.seeding import generator_for


class Progress:
    """Where a run stands: all that a checkpoint must hold besides parameters and optimisers."""

    def __init__(self, seed: int, device: torch.device, stream: tuple[int, ...] = ()) -> None:
        self.order = generator_for("order", seed)
        self.noise = generator_for("noise", seed, *stream, device=device)
        self.step = self.epoch = self.batch = 0
        self.permutation = torch.empty(0, dtype=torch.int64)
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.history: list[Row] = []
        self.best_loss, self.best_step = math.inf, 0
        self.best: dict[str, Tensor] | None = None
        self.seconds = 0.0
        self.status, self.reason = "running", ""

    PLAIN = (
        "step",
        "epoch",
        "batch",
        "sums",
        "counts",
        "best_loss",
        "best_step",
        "best",
        "seconds",
        "status",
        "reason",
        "permutation",
    )

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        plain = {name: getattr(self, name) for name in self.PLAIN}
        history = [list(row) for row in self.history]
        return plain | {"order": self.order.get_state(), "noise": self.noise.get_state(), "history": history}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        for name in self.PLAIN:
            setattr(self, name, state[name])
        self.order.set_state(state["order"])
        self.noise.set_state(state["noise"])
        self.history = [tuple(row) for row in state["history"]]
