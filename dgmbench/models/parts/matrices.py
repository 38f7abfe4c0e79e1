"""Convolutions of small images as matrices, for float64 on a CPU.

PyTorch has fast convolutions for float32 alone there; in float64 it goes image by image. On images of a few
pixels, whose kernels reach nearly everywhere, one matrix product does the same work at full speed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

AFFINE = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.Linear, nn.Flatten, nn.Unflatten)
ELEMENTWISE = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.GELU)
# Entries of the largest matrix made. A 28x28 image's last layer would have some 5 million, most of them zero.
MOST_ENTRIES = 2**20


@torch.no_grad()
def as_matrices(layers: Iterable[nn.Module], shape: tuple[int, ...]) -> nn.Sequential | None:
    """The same function of ``[n, *shape]``, flattened at both ends, by linear and elementwise layers.

    Batch normalisation joined with a linear layer is taken as in eval mode. None where a matrix would exceed
    `MOST_ENTRIES` or a layer is of another kind.
    """
    made: list[nn.Module] = [nn.Flatten()]
    for group in _groups(layers):
        if isinstance(group[0], ELEMENTWISE):
            made.append(group[0])
        elif not isinstance(group[0], AFFINE):
            return None
        elif all(isinstance(layer, nn.BatchNorm2d) for layer in group):
            # A factor for each pixel, not a matrix.
            made += [nn.Unflatten(1, shape), *group, nn.Flatten()]
        else:
            linear, shape = _as_linear(group, shape)
            if linear is None:
                return None
            made.append(linear)
    return nn.Sequential(*made)


def _groups(layers: Iterable[nn.Module]) -> Iterator[list[nn.Module]]:
    """Runs of affine layers, and each other layer by itself."""
    run: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, AFFINE):
            run.append(layer)
            continue
        if run:
            yield run
        run = []
        yield [layer]
    if run:
        yield run


def _as_linear(group: list[nn.Module], shape: tuple[int, ...]) -> tuple[nn.Linear | None, tuple[int, ...]]:
    """The layers as one, from what they make of zero and of each unit vector, and the shape it gives."""
    like = next(parameter for layer in group for parameter in layer.parameters())
    inputs = math.prod(shape)
    origin = _through(group, like.new_zeros(1, *shape))
    if inputs * origin.numel() > MOST_ENTRIES:
        return None, shape
    units = torch.eye(inputs, dtype=like.dtype, device=like.device).reshape(inputs, *shape)
    linear = nn.Linear(inputs, origin.numel(), dtype=like.dtype, device=like.device)
    linear.weight.copy_((_through(group, units) - origin).flatten(1).T)
    linear.bias.copy_(origin.flatten())
    return linear, tuple(origin.shape[1:])


def _through(group: list[nn.Module], x: Tensor) -> Tensor:
    for layer in group:
        training = layer.training
        x = layer.eval()(x)
        layer.train(training)
    return x
