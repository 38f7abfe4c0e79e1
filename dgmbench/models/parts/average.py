"""Exponential average of a module's parameters over training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


class ParameterAverage(nn.Module):
    """theta_bar_t = (1 - d) sum_s d^(t - s) theta_s / (1 - d^t), over updates s = 1..t.

    The division takes off the bias towards the start, as in Adam (Kingma & Ba 2015, section 3). Parameters
    and floating buffers (the statistics of batch norm) are averaged; all of it lies in buffers, so that
    checkpoints and weights keep it.

    Args:
        module: whose parameters are averaged; it is not kept.
        decay: d, in [0, 1).
    """

    updates: Tensor

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        for name, value in _floating(module):
            self.register_buffer(_key(name), value.detach().clone())

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the parameters that `module` has now."""
        self.updates += 1
        weight = (1 - self.decay) / (1 - self.decay ** int(self.updates))
        for name, value in _floating(module):
            self.get_buffer(_key(name)).lerp_(value, weight)

    def call(self, module: nn.Module, *inputs: Tensor) -> Any:
        """module(*inputs) with the averages in place of its parameters."""
        values = {name: self.get_buffer(_key(name)) for name, _ in _floating(module)}
        return functional_call(module, values, inputs)

    @torch.no_grad()
    def load_into(self, module: nn.Module) -> None:
        """Give `module` the averages for good."""
        for name, value in _floating(module):
            value.copy_(self.get_buffer(_key(name)))


def _floating(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from ((name, value) for name, value in module.named_buffers() if value.is_floating_point())


def _key(name: str) -> str:
    # A buffer's name may hold no dot.
    return name.replace(".", "/")
