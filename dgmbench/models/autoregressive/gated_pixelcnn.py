"""Gated PixelCNN (van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders").

A vertical stack sees all rows above, a horizontal stack its own row up to the pixel and, at every layer,
the vertical one (figure 2): no blind spot. Each layer is a gate, tanh(.) * sigmoid(.) of two halves (eq. 2);
the horizontal stack has residual connections, except at the first layer. No class conditioning here.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dgmbench.data.schema import Schema
from dgmbench.models.autoregressive.causal import (
    CachedConv,
    CachedPointwise,
    CachedRows,
    CausalConv,
    ConvAbove,
    WideOddInt,
    columns,
)
from dgmbench.models.autoregressive.pixelwise import Autoregressive, AutoregressiveSettings
from dgmbench.settings.block import Few


class GatedPixelCNNSettings(AutoregressiveSettings):
    """Width and depth of the network."""

    features: PositiveInt = Field(32, description="p, features of either stack")
    blocks: Few = Field(7, description="gated layers after the first")
    kernel: WideOddInt = Field(3, description="size of the layers' convolutions, odd, at least 3")
    first_kernel: WideOddInt = Field(7, description="size of the first layer's convolutions, odd, at least 3")


class GatedLayer(nn.Module):
    """One layer of both stacks (figure 2)."""

    def __init__(self, inputs: int, features: int, kernel: int, groups: int, *, first: bool = False) -> None:
        super().__init__()
        self.residual = not first
        double = 2 * features
        self.vertical = ConvAbove(inputs, double, kernel, strict=first)
        # All that the vertical stack has seen lies above, so that no channel is hidden from another.
        self.link = nn.Conv2d(double, double, 1)
        self.horizontal = CausalConv(
            inputs, double, kernel, groups=groups, strict=first, above=False, gates=2
        )
        self.expand = CausalConv(features, features, 1, groups=groups)

    def forward(self, vertical: Tensor, horizontal: Tensor) -> tuple[Tensor, Tensor]:
        """Both stacks, ``[n, inputs, H, W]`` to ``[n, p, H, W]`` each."""
        above = self.vertical(vertical)
        output = self.expand(gate(self.horizontal(horizontal) + self.link(above), 1))
        return gate(above, 1), output + horizontal if self.residual else output


def gate(x: Tensor, dim: int) -> Tensor:
    """tanh of one half of the features times sigmoid of the other (eq. 2)."""
    half, other = x.chunk(2, dim)
    return torch.tanh(half) * torch.sigmoid(other)


class GatedPixelCNN(Autoregressive):
    """Two stacks of gated convolutions."""

    Settings = GatedPixelCNNSettings
    piece_pixels = 32 * 784

    def __init__(self, settings: GatedPixelCNNSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        p, groups = settings.features, self.groups
        first = GatedLayer(self.image_shape[0], p, settings.first_kernel, groups, first=True)
        others = [GatedLayer(p, p, settings.kernel, groups) for _ in range(settings.blocks)]
        self.layers = nn.ModuleList([first, *others])
        self._add_head(p, settings)

    def hidden(self, x: Tensor) -> Tensor:
        """``[n, p, H, W]``: the horizontal stack, for scaled images."""
        vertical = horizontal = x
        for layer in self.layers:
            vertical, horizontal = layer(vertical, horizontal)
        return horizontal

    def start_cache(self, n: int) -> _Cache:
        """The cache of `n` empty images."""
        return _Cache(self, n)


class _Cache:
    """The vertical stack advances by rows, since it sees nothing of the current one."""

    def __init__(self, model: GatedPixelCNN, n: int) -> None:
        width = model.image_shape[2]
        self.layers = [layer for layer in model.layers if isinstance(layer, GatedLayer)]
        self.vertical = [_CachedAbove(layer.vertical, n, width) for layer in self.layers]
        self.horizontal = [CachedConv(layer.horizontal, n, width) for layer in self.layers]
        self.expand = [CachedPointwise(layer.expand) for layer in self.layers]

    def start_row(self, i: int) -> None:
        row: Tensor | None = None
        for layer, vertical, horizontal in zip(self.layers, self.vertical, self.horizontal, strict=True):
            above = vertical.start_row(row)
            horizontal.start_row(columns(layer.link(above)))
            row = gate(above, 1)

    def hidden_at(self, pixel: Tensor, i: int, j: int) -> Tensor:
        hidden = pixel
        for layer, horizontal, expand in zip(self.layers, self.horizontal, self.expand, strict=True):
            horizontal.write(hidden, j)
            output = expand(gate(horizontal.output(j), 1))
            hidden = output + hidden if layer.residual else output
        return hidden

    def store(self, pixel: Tensor, i: int, j: int) -> None:
        self.vertical[0].write(pixel, j)
        self.horizontal[0].write(pixel, j)


class _CachedAbove:
    """A `ConvAbove` at one row after the other."""

    def __init__(self, layer: ConvAbove, n: int, width: int) -> None:
        self.layer = layer
        # The rows of the kernel; a strict one has them all above the current row, which is being filled.
        self.inputs = CachedRows(layer.weight, n, layer.weight.shape[2] + layer.strict, width, layer.radius)

    def start_row(self, row: Tensor | None) -> Tensor:
        """Outputs ``[n, outputs, 1, W]`` at the next row; ``row [n, inputs, 1, W]``: its input, if known."""
        self.inputs.start_row()
        if row is not None:
            radius = self.layer.radius
            self.inputs.rows[:, -1, radius : radius + row.shape[3]] = row[:, :, 0].transpose(1, 2)
        rows = self.inputs.rows[:, : self.layer.weight.shape[2]].permute(0, 3, 1, 2)
        return F.conv2d(rows, self.layer.weight, self.layer.bias)

    def write(self, values: Tensor, j: int) -> None:
        """Set the input at column `j` of the current row to ``values [n, inputs]``."""
        self.inputs.write(values, j)
