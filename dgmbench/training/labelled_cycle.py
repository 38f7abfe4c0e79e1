"""Which labelled examples a step sees: shuffled passes over all of them, without any state.

The order of a pass follows from the seed and the number of the pass, so a resumed training goes on with the
examples that it would have seen.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from dgmbench.training.seeding import generator_for


class LabelledCycle:
    """Passes over `n` labelled examples in steps of `size`; a step may end one pass and begin the next.

    Args:
        n: how many labelled examples there are.
        size: how many of them a step sees; more than n are whole passes and a part of one.
        seed: of the training.
    """

    def __init__(self, n: int, size: int, seed: int) -> None:
        self.n, self.size = n, size
        self._pass = lru_cache(maxsize=2)(
            lambda number: torch.randperm(n, generator=generator_for("labelled", seed, number))
        )

    def rows(self, step: int) -> Tensor:
        """Rows ``[size]`` of the labelled examples that a step (from 0) sees, int64 on the CPU."""
        start, parts, missing = step * self.size, list[Tensor](), self.size
        while missing:
            number, place = divmod(start, self.n)
            part = self._pass(number)[place : place + missing]
            parts.append(part)
            start, missing = start + len(part), missing - len(part)
        return torch.cat(parts)
