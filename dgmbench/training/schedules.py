"""Step sizes over a training."""

from __future__ import annotations

import math

# What share of a run the step size of late_linear is held.
HELD = 2 / 3


def rate_factor(schedule: str, step: int, total: int, epoch: int) -> float:
    """What the first step size is multiplied by in a step and an epoch (from 0) of a run of `total` steps."""
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / total))
    if schedule == "tripling":
        return 10 ** (-tripling_stage(epoch) / 7)
    if schedule == "linear":
        return 1 - step / total
    if schedule == "late_linear":
        return min(1.0, (1 - step / total) / (1 - HELD))
    return 1.0


def tripling_stage(epoch: int) -> int:
    """The stage i of an epoch (from 0) where stage i has 3^i epochs (Burda et al. 2016, section 5)."""
    stage = 0
    while (3 ** (stage + 1) - 1) // 2 <= epoch:
        stage += 1
    return stage
