"""The vanilla combinator of the ladder network, which denoises a unit given a signal from above."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Which of a_1..a_10 start at 1; the others start at 0.
ONES = (2, 7)


class VanillaCombinator(nn.Module):
    """g(z~, u) = (z~ - mu(u)) v(u) + mu(u) for each unit (Rasmus et al. 2015, eq. 2).

    mu(u) = a1 sigmoid(a2 u + a3) + a4 u + a5 and v(u) = a6 sigmoid(a7 u + a8) + a9 u + a10. That is the
    best form for a z that is Gaussian given u. With the initial values both functions are 0.

    Args:
        units: number of units.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        first = torch.zeros(10, units)
        first[[place - 1 for place in ONES]] = 1.0
        self.a = nn.Parameter(first)

    def forward(self, noisy: Tensor, above: Tensor) -> Tensor:
        """``[n, units]`` estimates of the clean values."""
        a1, a2, a3, a4, a5, a6, a7, a8, a9, a10 = self.a
        mean = a1 * torch.sigmoid(a2 * above + a3) + a4 * above + a5
        gain = a6 * torch.sigmoid(a7 * above + a8) + a9 * above + a10
        return (noisy - mean) * gain + mean


def standardised(values: Tensor, epsilon: float = 1e-10) -> tuple[Tensor, Tensor, Tensor]:
    """``values [n, units]`` with mean 0 and variance 1 over the batch, and the mean and variance they had."""
    variance, mean = torch.var_mean(values, 0, correction=0)
    return (values - mean) * torch.rsqrt(variance + epsilon), mean, variance
