"""A weight-normalised linear layer with data-dependent initialisation (Salimans & Kingma 2016)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Added to the norm of a direction, against a division by 0.
EPSILON = 1e-6
# Standard deviation of the first directions in the code of Salimans et al. 2016. The outputs do not depend on
# it, but the longer a direction is, the less a step of Adam turns it.
DEVIATION = 0.1


class WeightNormLinear(nn.Module):
    """y = s (v/|v|) x + b for each output, with a direction v and a scale s (eq. 2).

    Args:
        inputs: width of x.
        outputs: width of y.
        train_scale: whether s is a parameter; otherwise it keeps the value of its initialisation.
    """

    scale: Tensor

    def __init__(self, inputs: int, outputs: int, *, train_scale: bool) -> None:
        super().__init__()
        self.direction = nn.Parameter(DEVIATION * torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if train_scale:
            self.scale = nn.Parameter(torch.ones(outputs))
        else:
            self.register_buffer("scale", torch.ones(outputs))

    def forward(self, x: Tensor, *, frozen: bool = False) -> Tensor:
        """``[n, outputs]``; where `frozen`, gradients reach x but no parameter.

        The factor s/|v| multiplies the outputs, of which there are fewer than weights.
        """
        values = (self.direction, self.scale, self.bias)
        direction, scale, bias = (value.detach() for value in values) if frozen else values
        factor = scale / (torch.linalg.vector_norm(direction, dim=1) + EPSILON)
        return (F.linear(x, direction) * factor).add_(bias)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> Tensor:
        """Scale and shift so that outputs of ``x [n, inputs]`` have mean 0 and deviation 1 (eq. 5 and 6).

        Returns:
            These outputs. A unit that gives the same for all of x keeps its scale.
        """
        outputs = self(x)
        deviation, mean = torch.std_mean(outputs, 0, correction=0)
        deviation = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
        self.scale.div_(deviation)
        self.bias.copy_((self.bias - mean) / deviation)
        return (outputs - mean) / deviation
