"""Maxout units (Goodfellow et al. 2013, section 2)."""

from __future__ import annotations

from torch import Tensor, nn


class Maxout(nn.Module):
    """h_i(x) = max_j (w_ij x + b_ij), j = 1..pieces.

    Args:
        inputs, outputs: features of an example before and after.
        pieces: linear functions of each unit.
    """

    def __init__(self, inputs: int, outputs: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(inputs, outputs * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, outputs]`` of ``x [n, inputs]``."""
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)
