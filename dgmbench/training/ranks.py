"""Several processes that train one model, each on its share of every batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dgmbench.models.base import Model


@dataclass(frozen=True)
class Ranks:
    """Which of `world` processes this is, from 0; the caller sets up the process group.

    Every rank shuffles alike and takes every `world`-th example of a batch, so a step sees the same batch as
    one process would (but for a remainder, see `share`). Each rank has its own stream of noise.
    """

    rank: int = 0
    world: int = 1

    @property
    def alone(self) -> bool:
        """Whether this is the only process."""
        return self.world == 1

    def share(self, rows: Tensor) -> Tensor:
        """This rank's part of a batch's rows.

        Shares are of one size, so that means over ranks are means over the batch: where its size is no
        multiple of `world`, the first rows are taken twice.
        """
        if self.alone:
            return rows
        each = -(-len(rows) // self.world)
        return rows[torch.arange(self.rank, each * self.world, self.world, device=rows.device) % len(rows)]

    def wrap(self, model: Model) -> nn.Module:
        """What the loop calls: the model, or a wrapper that averages gradients over the ranks.

        Batch norm then takes its moments over all ranks. Unused parameters are allowed: a phase of an
        adversarial game moves a part of them.
        """
        if self.alone:
            return model
        synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(model) if model.is_on_gpu else model
        return nn.parallel.DistributedDataParallel(synchronised, find_unused_parameters=len(model.phases) > 1)

    def stream(self) -> tuple[int, ...]:
        """What distinguishes this rank's noise from that of rank 0; empty for rank 0."""
        return (self.rank,) * (self.rank > 0)
