"""p(x|z) of binary images at the speed that thousands of draws per image ask for.

Importance sampling and annealing spend nearly all their time in the decoder. With several draws per image
and float32 on a CPU, the functions here give the same numbers (to some 1e-6 of their value) and gradients
in about half the time of the textbook expressions, which they are everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Factors of one product before its logarithm is taken. Each is at least 1/2, so that the product is at least
# 2^-96: far from the smallest float32, 2^-126.
FACTORS = 96
# The same where each is a probability that may be anything: few, and products below the least not trusted.
FREE_FACTORS = 8
LEAST_PRODUCT = 2.0**-100
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
        return _affine(layer.weight, layer.bias, rows)
    if isinstance(layer, nn.Tanh):
        # tanh(a) = 2 sigmoid(2a) - 1: PyTorch's sigmoid takes a tenth of the time of its tanh on a CPU.
        return (2 * rows).sigmoid_().mul(2).sub_(1)
    return layer(rows)


def _affine(weight: Tensor, bias: Tensor | None, rows: Tensor) -> Tensor:
    """``rows weight^T + bias`` as a 1x1 convolution, where the rows can be cut into 16 to 64 images of one.

    Rows are how channels-last images lie in memory. PyTorch gives their convolution to oneDNN (on one thread,
    from 16 images on) and a matrix product to MKL, which does not use the full width of AVX-512 on processors
    that are not Intel's: here half the speed.
    """
    images = next((count for count in range(16, 65) if len(rows) % count == 0), None)
    if images is None or len(rows) * weight.numel() < LEAST_WORK:
        return F.linear(rows, weight, bias)
    stacked = rows.reshape(images, 1, -1, rows.shape[1]).permute(0, 3, 1, 2)
    kernels = weight[:, None, None, :].permute(0, 3, 1, 2)
    output = F.conv2d(stacked, kernels, bias)
    return output.permute(0, 2, 3, 1).reshape(len(rows), -1)


def bernoulli_scorer(decoder: nn.Module, x: Tensor, offset: Tensor | None = None) -> BernoulliScorer | None:
    """What scores images ``[n, d]`` under a decoder fast, or None where it cannot.

    That takes an MLP, zeros and ones, float32 and a CPU.
    """
    layers = list(decoder) if isinstance(decoder, nn.Sequential) else []
    alternating = all(isinstance(layer, nn.Linear) == (i % 2 == 0) for i, layer in enumerate(layers))
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and x.shape[-1] % FREE_FACTORS == 0
    if len(layers) % 2 == 0 or not alternating or not plain or not bool(((x == 0) | (x == 1)).all()):
        return None
    return BernoulliScorer(layers, x, offset)


class BernoulliScorer:
    """log p(x|z) of images that stay, for draws of z that come by the thousand, without gradients.

    What depends on the images and the weights alone is done once: tanh(a) = 2 sigmoid(2a) - 1 leaves its
    factors to the layers around it, and the sign of each pixel turns log Bernoulli(x; l) into
    log sigmoid(+-l), so that a pixel costs one sigmoid and one multiplication beside its matrix product.

    Args:
        layers: linear layers with an activation between each two.
        x: ``[n, d]`` zeros and ones.
        offset: ``[d]``, added to the logits.
    """

    def __init__(self, layers: Sequence[nn.Module], x: Tensor, offset: Tensor | None = None) -> None:
        self.x, self.signs = x, 2 * x - 1
        linear, activations = layers[::2], layers[1::2]
        tanh = [isinstance(layer, nn.Tanh) for layer in activations]
        self.affine = [
            _fold(layer, before, after)
            for layer, before, after in zip(linear, [False, *tanh], [*tanh, False], strict=True)
        ]
        if offset is not None:
            weight, bias = self.affine[-1]
            self.affine[-1] = weight, bias + offset
        self.activations = [
            torch.sigmoid_ if folded else _in_place(layer)
            for folded, layer in zip(tanh, activations, strict=True)
        ]

    @torch.no_grad()
    def __call__(self, z: Tensor) -> Tensor:
        """``[k, n]`` nats for ``z [k, n, latent_dim]``."""
        rows = z.flatten(0, 1)
        for (weight, bias), activate in zip(self.affine, self.activations, strict=False):
            rows = activate(_affine(weight, bias, rows))
        return self._score(rows.unflatten(0, z.shape[:2]))

    def _score(self, hidden: Tensor) -> Tensor:
        """``[k, n]`` from the last hidden layer, ``[k, n, h]``; a logarithm for eight pixels far apart.

        Neighbours are apt to be improbable together. Where products come near float32's least number all the
        same, the sum is taken the longer way.
        """
        logits = _affine(*self.affine[-1], hidden.flatten(0, 1)).unflatten(0, hidden.shape[:2])
        probabilities = logits.mul_(self.signs).sigmoid_().unflatten(-1, (FREE_FACTORS, -1))
        products = probabilities.prod(-2)
        if bool(products.amin() > LEAST_PRODUCT):
            return products.log_().sum(-1)
        logits = _affine(*self.affine[-1], hidden.flatten(0, 1)).unflatten(0, hidden.shape[:2])
        return _part_log_prob(self.x, logits)


def _fold(layer: nn.Module, before: bool, after: bool) -> tuple[Tensor, Tensor]:
    """Weight and bias that take sigmoids for the tanh before, and give twice the layer for the one after."""
    assert isinstance(layer, nn.Linear)
    weight = layer.weight.detach()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach()
    if before:
        weight, bias = 2 * weight, bias - weight.sum(1)
    return (2 * weight, 2 * bias) if after else (weight, bias)


def _in_place(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    return torch.relu_ if isinstance(layer, nn.ReLU) else layer
