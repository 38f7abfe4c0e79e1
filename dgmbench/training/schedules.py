"""Step sizes over a training."""

from __future__ import annotations


def tripling_stage(epoch: int) -> int:
    """The stage i of an epoch (from 0) where stage i has 3^i epochs (Burda et al. 2016, section 5)."""
    stage = 0
    while (3 ** (stage + 1) - 1) // 2 <= epoch:
        stage += 1
    return stage
