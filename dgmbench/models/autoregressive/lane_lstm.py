"""An LSTM over many lanes at once, each reading states of neighbouring lanes one step before.

Row LSTM (a lane per column, a step per row, kernel 3) and Diagonal BiLSTM (a lane per row, a step per
diagonal, kernel 2; two directions) of van den Oord, Kalchbrenner & Kavukcuoglu 2016 are both this, eq. 3:

    i, f, o = sigmoid(.), g = tanh(.) of  W_is x + b + W_ss [h of lanes l + tap at the step before]
    c = f * (c of the same lane at the step before) + i * g,    h = o * tanh(c)

A lane is active for a span of steps, so that a diagonal holds its pixels and no padding; outside its span,
and outside the lanes there are, its state is a learned one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dgmbench.models.autoregressive.lane_plan import Plan
from dgmbench.models.autoregressive.lane_scan import scan


class LaneLSTM(nn.Module):
    """The state-to-state part, with its learned states.

    Args:
        plan: the order of the positions.
        features: h.
        directions: independent copies, each with parameters of its own.
    """

    def __init__(self, plan: Plan, features: int, directions: int = 1) -> None:
        super().__init__()
        self.plan = plan
        bound = (len(plan.taps) * features) ** -0.5
        weight = torch.empty(directions, len(plan.taps) * features, 4 * features)
        self.weight = nn.Parameter(nn.init.uniform_(weight, -bound, bound))
        self.hidden = nn.Parameter(torch.zeros(directions, features))
        self.cell = nn.Parameter(torch.zeros(directions, features))
        for index in range(len(plan.taps) + 1):
            self.register_buffer(f"unfed{index}", plan.unfed(index), persistent=False)

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Hidden states ``[directions, positions, n, h]``.

        Args:
            x: inputs ``[directions, positions, n, inputs]``.
            weight: input-to-state weights ``[directions, inputs, 4 h]``, gates in order i, f, o, g.
            bias: ``[directions, 4 h]``.
        """
        unfed = [self.get_buffer(f"unfed{index}") for index in range(len(self.plan.taps) + 1)]
        # Full precision also under autocast: states pass through many steps.
        with torch.autocast(x.device.type, enabled=False):
            inputs = [part.to(self.weight.dtype) for part in (x, weight, bias)]
            learned = (self.weight, self.hidden, self.cell)
            return scan(*inputs, *learned, unfed, self.plan.flat_spans, self.plan.taps)[0]
