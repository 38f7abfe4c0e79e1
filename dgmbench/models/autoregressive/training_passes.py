"""Training passes that are faster than one plain pass over a batch: compiled, or piece by piece."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dgmbench.errors import CapabilityError

# With fewer images torch runs 1x1 convolutions on one thread through a slower library.
LEAST_PIECE = 16


def require_compiler(device: torch.device) -> None:
    """Say in time what torch.compile would fail at in the first step.

    Raises:
        CapabilityError: where torch has nothing to compile with for `device`.
    """
    if device.type == "cpu":
        names = [name for name in (os.environ.get("CXX"), "g++", "clang++") if name]
        missing = None if any(map(shutil.which, names)) else "a C++ compiler (CXX, g++ or clang++)"
    else:
        missing = None if importlib.util.find_spec("triton") else "Triton"
    if missing:
        raise CapabilityError(f"compile: true needs {missing} for '{device.type}'; leave it at false")


def piece_count(x: Tensor, piece_pixels: int | None) -> int:
    """In how many parts a training batch is worked through; one on a GPU."""
    if piece_pixels is None or x.device.type != "cpu":
        return 1
    images = max(LEAST_PIECE, piece_pixels // (x.shape[2] * x.shape[3]))
    return math.ceil(len(x) / images)


class PiecewiseLoss(torch.autograd.Function):
    """Mean negative log-likelihood of a batch in parts; the gradient of a part is taken at once.

    Activations of one part alone are ever held.
    """

    @staticmethod
    def forward(
        ctx: Any, log_prob: Callable[[Tensor], Tensor], parts: tuple[Tensor, ...], *parameters: Tensor
    ) -> Tensor:
        """The loss, from ``log_prob`` of each part; keeps the parameters' gradients."""
        count = sum(len(part) for part in parts)
        losses, gradients = [], [torch.zeros_like(parameter) for parameter in parameters]
        for part in parts:
            with torch.enable_grad():
                loss = -log_prob(part).sum() / count
            for total, new in zip(gradients, torch.autograd.grad(loss, parameters), strict=True):
                total += new
            losses.append(loss.detach())
        ctx.save_for_backward(*gradients)
        return torch.stack(losses).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The kept gradients times ``grad``."""
        return None, None, *(grad * gradient for gradient in ctx.saved_tensors)
