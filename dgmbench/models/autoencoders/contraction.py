"""The Jacobian J of an encoder, exactly and for every image: what a contractive auto-encoder penalises.

J [k, d] is made of k vector-Jacobian products, one per entry of the code. They are carried backwards through
the layers here rather than by autograd, images and entries together in one product per layer; autograd then
differentiates that once, where a vectorised double backward costs two to ten times as much (convolutions).
What is wanted of J, its squared Frobenius norm and J J', needs it up to the metric of the first layer only:
where that is linear, a = W x, the products stop at a, and J J' = R (W W') R' with R = dh/da, which spares the
widest of them. For a single layer h = s(W x), R = diag(s'(a)) and this is the closed form of Rifai et al.
2011 (eq. 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgmbench.models.parts.bodies import ConvEncoder


@dataclass(frozen=True)
class EncoderJacobian:
    """J up to a metric, J J' = R metric R', and `code`, the encoder's output ``[n, k]``.

    rows: R, ``[n, k, q]``, or its diagonal ``[n, k]`` where R is diagonal (q = k).
    metric: ``[q, q]``, None for the identity (R is J itself).
    """

    code: Tensor
    rows: Tensor
    metric: Tensor | None

    def squared_norm(self) -> Tensor:
        """The squared Frobenius norm of each image's J, ``[n]``."""
        with _full_precision(self.rows):
            if self.metric is None:
                return self.rows.square().sum((1, 2))
            if self.rows.ndim == 2:
                return self.rows.square() @ self.metric.diagonal()
            return ((self.rows @ self.metric) * self.rows).sum((1, 2))

    def gram(self) -> Tensor:
        """J J' of each image, ``[n, k, k]``."""
        with _full_precision(self.rows):
            if self.metric is None:
                return self.rows @ self.rows.transpose(1, 2)
            if self.rows.ndim == 2:
                return self.rows[:, :, None] * self.metric * self.rows[:, None, :]
            return self.rows @ self.metric @ self.rows.transpose(1, 2)


def encoder_jacobian(encoder: nn.Sequential, x: Tensor) -> EncoderJacobian:
    """J of ``encoder(x)`` with respect to each image of ``x [n, C, H, W]``.

    Differentiable in the encoder's parameters where gradients are on. Layers may be linear, convolutions,
    flattening and elementwise functions.

    Raises:
        TypeError: for a layer of another kind.
    """
    trained = torch.is_grad_enabled()
    with _full_precision(x):
        with torch.enable_grad():
            code, steps = _forward(encoder, x.detach(), trained)
        rows, metric = _backward(steps, len(x))
    return EncoderJacobian(code if trained else code.detach(), rows, metric)


def _full_precision(tensor: Tensor) -> torch.autocast:
    """No autocast: a square of short floats has few digits."""
    return torch.autocast(tensor.device.type, enabled=False)


@dataclass(frozen=True)
class _Step:
    """A layer, the shape of one image before it, and the slopes of an elementwise one."""

    layer: nn.Module
    shape: torch.Size
    slope: Tensor | None = None


def _forward(encoder: nn.Sequential, x: Tensor, trained: bool) -> tuple[Tensor, list[_Step]]:
    steps = []
    for layer in _layers(encoder):
        shape = x.shape[1:]
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.Flatten)):
            steps.append(_Step(layer, shape))
            x = layer(x)
        else:
            # A sum over an elementwise function has its slopes as gradient.
            before = x if trained and x.requires_grad else x.detach().requires_grad_()
            x = layer(before)
            if x.shape != before.shape:
                raise TypeError(f"the Jacobian of {type(layer).__name__} is not known here")
            (slope,) = torch.autograd.grad(x.sum(), before, create_graph=trained)
            steps.append(_Step(layer, shape, slope))
    return x, steps


def _layers(modules: Iterable[nn.Module]) -> Iterator[nn.Module]:
    for module in modules:
        if isinstance(module, ConvEncoder):
            yield from [*module.layers, nn.Flatten()]
        elif isinstance(module, nn.Sequential):
            yield from _layers(module)
        elif not isinstance(module, nn.Identity):
            yield module


def _backward(steps: list[_Step], n: int) -> tuple[Tensor, Tensor | None]:
    """R and the metric, from the last layer to the first; R is kept as a diagonal as long as it is one."""
    rows: Tensor | None = None
    for index, step in reversed(list(enumerate(steps))):
        layer = step.layer
        if isinstance(layer, nn.Linear):
            weight = layer.weight
            if all(isinstance(before.layer, nn.Flatten) for before in steps[:index]):
                return weight.new_ones(n, len(weight)) if rows is None else rows, weight @ weight.T
            rows = _through_linear(rows, weight, n)
        elif isinstance(layer, nn.Conv2d):
            assert rows is not None
            rows = _through_convolution(rows, layer, step.shape)
        elif isinstance(layer, nn.Flatten):
            assert rows is not None
            rows = rows.unflatten(2, step.shape)
        else:
            assert step.slope is not None
            rows = step.slope if rows is None else rows * step.slope.unsqueeze(1)
    assert rows is not None
    return rows.flatten(2), None


def _through_linear(rows: Tensor | None, weight: Tensor, n: int) -> Tensor:
    """R W for R of shape ``[n, k, out]``, a diagonal ``[n, out]``, or the identity (None)."""
    if rows is None:
        return weight.expand(n, *weight.shape)
    return rows[:, :, None] * weight if rows.ndim == 2 else rows @ weight


def _through_convolution(rows: Tensor, layer: nn.Conv2d, shape: torch.Size) -> Tensor:
    """The transpose of the convolution: ``[n, k, out channels, ...]`` to ``[n, k, *shape]``."""
    images = rows.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    padding = [int(side) for side in layer.padding]
    # Rows and columns at the far edge that no kernel reached.
    missed = [
        size - (short - 1) * stride + 2 * side - kernel
        for size, short, stride, side, kernel in zip(
            shape[1:], images.shape[2:], layer.stride, padding, layer.kernel_size, strict=True
        )
    ]
    pulled = F.conv_transpose2d(images, layer.weight, None, layer.stride, padding, missed)
    return pulled.unflatten(0, rows.shape[:2])
