"""p(x|z) of binary images at the speed that thousands of draws per image ask for.

Importance sampling and annealing spend nearly all their time in the decoder. With several draws per image
and float32 on a CPU, the functions here give the same numbers (to some 1e-6 of their value) and gradients
in about half the time of the textbook expressions, which they are everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Factors of one product before its logarithm is taken. Each is at least 1/2, so that the product is at least
# 2^-96: far from the smallest float32, 2^-126.
FACTORS = 96
# Values of a temporary. One of the size of all logits would be given back to the system and cleared by it
# at every call, which costs as much as computing with it.
SCRATCH = 2**19
# Multiplications below which preparing the convolution costs more than it saves (some 30 microseconds).
LEAST_WORK = 4_000_000


def dense(layers: Iterable[nn.Module], z: Tensor) -> Tensor:
    """Layers of an MLP, one after the other: ``[..., n, d]`` for ``z [..., n, latent_dim]``."""
    if not _fast(z) or torch.is_autocast_enabled("cpu"):
        for layer in layers:
            z = layer(z)
        return z
    rows = z.flatten(0, -2)
    for layer in layers:
        rows = _apply(layer, rows)
    return rows.reshape(*z.shape[:-1], -1)


def bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    """log Bernoulli(x; logits) in nats, ``[..., n]``, for ``x [n, d]`` in [0, 1], ``logits [..., n, d]``."""
    with torch.autocast(logits.device.type, enabled=False):
        if not _fast(logits):
            # The product with x is summed as it is formed.
            return torch.einsum("...nd,nd->...n", logits, x) - F.softplus(logits).sum(-1)
        if torch.is_grad_enabled() and (logits.requires_grad or x.requires_grad):
            return _Bernoulli.apply(x, logits)
        return _bernoulli_log_prob(x, logits)


class _Bernoulli(torch.autograd.Function):
    """`_bernoulli_log_prob` with its gradient, x - sigmoid(logits), in place of that of each operation."""

    @staticmethod
    def forward(context: Any, x: Tensor, logits: Tensor) -> Tensor:
        context.save_for_backward(x, logits)
        return _bernoulli_log_prob(x, logits)

    @staticmethod
    def backward(context: Any, *outer: Tensor) -> tuple[Tensor | None, Tensor]:
        x, logits = context.saved_tensors
        weights = outer[0].unsqueeze(-1)
        for_x = (logits * weights).sum_to_size(x.shape) if context.needs_input_grad[0] else None
        return for_x, (x - torch.sigmoid(logits)).mul_(weights)


def _bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    rows = logits.flatten(0, -3)
    parts = rows.split(max(1, SCRATCH // rows[0].numel()))
    return torch.cat([_part_log_prob(x, part) for part in parts]).reshape(logits.shape[:-1])


def _part_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    # softplus(l) = max(l, 0) - log sigmoid(|l|). The first part is joined with x l before it is summed, since
    # the two cancel where x = 1; the second is one logarithm for many pixels.
    misses = logits.relu().addcmul_(logits, x, value=-1).sum(-1)
    hits = logits.abs().sigmoid_().split(FACTORS, dim=-1)
    return torch.stack([factors.prod(-1) for factors in hits]).log_().sum(0) - misses


def _fast(z: Tensor) -> bool:
    """Whether there are several draws per image, and the processor and the type that this is about."""
    return z.ndim > 2 and z.numel() > 0 and z.device.type == "cpu" and z.dtype == torch.float32


def _apply(layer: nn.Module, rows: Tensor) -> Tensor:
    """layer(rows) for ``rows [r, i]``."""
    if isinstance(layer, nn.Linear):
        return _linear(layer, rows)
    if isinstance(layer, nn.Tanh):
        # tanh(a) = 2 sigmoid(2a) - 1: PyTorch's sigmoid takes a tenth of the time of its tanh on a CPU.
        return (2 * rows).sigmoid_().mul(2).sub_(1)
    return layer(rows)


def _linear(layer: nn.Linear, rows: Tensor) -> Tensor:
    """layer(rows) as a 1x1 convolution, where the rows can be cut into 16 or more images of one row each.

    Rows are how channels-last images lie in memory. PyTorch gives their convolution to oneDNN (on one thread,
    from 16 images on) and a matrix product to MKL, which does not use the full width of AVX-512 on processors
    that are not Intel's: here half the speed.
    """
    images = next((count for count in range(16, 65) if len(rows) % count == 0), None)
    if images is None or len(rows) * layer.weight.numel() < LEAST_WORK:
        return layer(rows)
    stacked = rows.reshape(images, 1, -1, rows.shape[1]).permute(0, 3, 1, 2)
    kernels = layer.weight[:, None, None, :].permute(0, 3, 1, 2)
    output = F.conv2d(stacked, kernels, layer.bias)
    return output.permute(0, 2, 3, 1).reshape(len(rows), -1)
