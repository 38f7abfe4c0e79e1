"""The order in which an LSTM over many lanes is computed: active lanes by step, and where their states go."""

from __future__ import annotations

import torch
from torch import Tensor

Span = tuple[int, int]
# Positions of one step whose states are read at positions of the next.
Copy = tuple[slice, slice]


class Plan:
    """Which lanes are active when, and where their states go.

    Positions count the active lanes step by step; tensors are ordered by position, so that a step is a
    slice.

    Args:
        spans: for each step its active lanes ``[first, last)``; lanes do not pause.
        taps: lanes, relative to its own, whose states a position reads.
    """

    def __init__(self, spans: list[Span], taps: tuple[int, ...]) -> None:
        self.spans, self.taps = spans, taps
        self.flat_spans = [lane for span in spans for lane in span]
        self.steps: list[slice] = []
        self.positions = 0
        for first, last in spans:
            self.steps.append(slice(self.positions, self.positions + last - first))
            self.positions += last - first
        # For each step but the last: one copy per tap, and one more for the cell, which stays in its lane.
        self.copies = [[self._copy(t, tap) for tap in (*taps, 0)] for t in range(len(spans) - 1)]

    def _copy(self, t: int, tap: int) -> Copy:
        """From step t to t + 1, where lane l reads lane l + tap."""
        (first, last), (next_first, next_last) = self.spans[t], self.spans[t + 1]
        low = max(first, next_first + tap)
        # A tap that reaches beyond all lanes copies nothing.
        high = max(low, min(last, next_last + tap))
        source, target = self.steps[t].start - first, self.steps[t + 1].start - next_first - tap
        return slice(low + source, high + source), slice(low + target, high + target)

    def unfed(self, index: int) -> Tensor:
        """The positions that no state reaches by tap number `index` (the last one: the cell)."""
        targets = [copies[index][1] for copies in self.copies]
        # Without a look at a tensor's values, so that a model can be built on the meta device.
        fed = {position for target in targets for position in range(target.start, target.stop)}
        return torch.tensor([p for p in range(self.positions) if p not in fed], dtype=torch.long)
