"""Convolutions that see no later pixel (van den Oord, Kalchbrenner & Kavukcuoglu 2016, section 3.4).

Pixels come in raster order, and a pixel's colour channels in order R, G, B. A mask leaves only the rows up
to the current one, so the kernels hold just those rows ((k + 1) / 2 of k): the same function as a masked
square kernel for less arithmetic.

For sampling, `CachedConv` computes all that a row's pixels take from the rows above at once when the row
begins, so that a pixel costs one small matrix product.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, Field
from torch import Tensor, nn


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError(f"a masked convolution needs an odd kernel size, not {size}")
    return size


OddInt = Annotated[int, Field(ge=1, le=999), AfterValidator(_odd)]
# Behind mask A a kernel of one pixel sees nothing, and so does gated PixelCNN's vertical stack.
WideOddInt = Annotated[int, Field(ge=3, le=999), AfterValidator(_odd)]


class CausalConv(nn.Module):
    """A masked convolution that sees the rows above and, in its own row, the pixels to the left.

    With ``strict`` (mask A) a channel group does not see itself at its own pixel; otherwise (mask B) it
    does. Groups are the image's colour channels in order: group i sees groups j < i (A) or j <= i (B) at
    its own pixel. Features are split into as many groups, as evenly as they go; one group makes all colours
    of a pixel equal partners.

    Args:
        inputs: input features.
        outputs: output features.
        kernel: odd size of the kernel.
        groups: channel groups.
        strict: mask A.
        above: whether the rows above are seen at all; without them the kernel is a single row.
        gates: number of equal parts of the outputs, each split into groups by itself.
    """

    mask: Tensor
    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        groups: int,
        strict: bool = False,
        above: bool = True,
        gates: int = 1,
    ) -> None:
        super().__init__()
        self.radius = _odd(kernel) // 2
        self.above = self.radius if above else 0
        layer = nn.Conv2d(inputs, outputs, (self.above + 1, kernel))
        assert isinstance(layer.weight, nn.Parameter)
        assert isinstance(layer.bias, nn.Parameter)
        self.weight, self.bias = layer.weight, layer.bias
        mask = torch.ones_like(layer.weight)
        mask[:, :, -1, self.radius + 1 :] = 0
        group_in, group_out = _groups(inputs, groups), _groups(outputs // gates, groups).repeat(gates)
        sees = group_out[:, None] > group_in if strict else group_out[:, None] >= group_in
        mask[:, :, -1, self.radius] = sees.float()
        self.register_buffer("mask", mask, persistent=False)
        self.masked = kernel > 1 or groups > 1 or strict

    def masked_weight(self) -> Tensor:
        """``[outputs, inputs, above + 1, kernel]`` with the masked part at zero."""
        return self.weight * self.mask if self.masked else self.weight

    def forward(self, x: Tensor) -> Tensor:
        """``[n, inputs, H, W]`` to ``[n, outputs, H, W]``."""
        weight = self.masked_weight()
        if self.radius == 0:
            return F.conv2d(x, weight, self.bias)
        # Padding both ways and dropping the last rows beats a copy into a padded tensor; what follows is slow
        # on the strides that this leaves.
        output = F.conv2d(x, weight, self.bias, padding=(self.above, self.radius))[:, :, : x.shape[2]]
        return output.contiguous(memory_format=torch.channels_last)

    def windows(self, x: Tensor) -> Tensor:
        """What a kernel of one row sees: ``[H, W, n, inputs]`` to ``[H, W, n, (radius + 1) * inputs]``."""
        if self.radius == 0:
            return x
        padded = F.pad(x, (0, 0, 0, 0, self.radius, 0))
        return torch.cat([padded[:, k : k + x.shape[1]] for k in range(self.radius + 1)], -1)

    def row_weight(self) -> Tensor:
        """The current row's part of the masked kernel as a matrix ``[(radius + 1) * inputs, outputs]``."""
        weight = self.masked_weight()[:, :, -1, : self.radius + 1]
        return weight.permute(2, 1, 0).reshape(-1, weight.shape[0]).contiguous()


class ConvAbove(nn.Module):
    """A convolution over the rows above, all columns of them, and (unless ``strict``) the current row."""

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(self, inputs: int, outputs: int, kernel: int, *, strict: bool) -> None:
        super().__init__()
        self.radius, self.strict = _odd(kernel) // 2, strict
        layer = nn.Conv2d(inputs, outputs, (self.radius + (not strict), kernel))
        assert isinstance(layer.weight, nn.Parameter)
        assert isinstance(layer.bias, nn.Parameter)
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """``[n, inputs, H, W]`` to ``[n, outputs, H, W]``."""
        output = F.conv2d(x, self.weight, self.bias, padding=self.radius)[:, :, : x.shape[2]]
        return output.contiguous(memory_format=torch.channels_last)


def _groups(features: int, groups: int) -> Tensor:
    return torch.arange(features) * groups // features


class CachedRows:
    """The last rows of a map, zero-padded: ``rows [n, count, W + 2 radius, features]``, the current one last.

    Of the current row, what lies right of the pixel in hand is of no meaning.
    """

    def __init__(self, like: Tensor, n: int, count: int, width: int, radius: int) -> None:
        self.rows = like.new_zeros((n, count, width + 2 * radius, like.shape[1]))
        self.radius = radius

    def start_row(self) -> None:
        """Begin the next row."""
        if self.rows.shape[1] > 1:
            self.rows[:, :-1] = self.rows[:, 1:].clone()

    def write(self, values: Tensor, j: int) -> None:
        """Set column `j` of the current row to ``values [n, features]``."""
        self.rows[:, -1, j + self.radius] = values


class CachedConv:
    """A `CausalConv` at one pixel after the other, over inputs that it keeps."""

    def __init__(self, layer: CausalConv, n: int, width: int) -> None:
        self.layer, self.weight = layer, layer.row_weight()
        self.inputs = CachedRows(layer.weight, n, layer.above + 1, width, layer.radius)
        self.slot = self.inputs.rows[:, -1]
        self.started = torch.empty(0)  # per column, what the current row's outputs take from the rows above
        self.above = layer.masked_weight()[:, :, :-1].contiguous(memory_format=torch.channels_last)

    def start_row(self, link: Tensor | float = 0.0) -> None:
        """Begin the next row; ``link [W, n, outputs]`` is added to its outputs."""
        self.inputs.start_row()
        n, width, _ = self.slot.shape
        outputs = self.layer.bias.expand(width - 2 * self.layer.radius, n, -1)
        if self.layer.above:
            rows = self.inputs.rows[:, :-1].permute(0, 3, 1, 2)
            outputs = columns(F.conv2d(rows, self.above, self.layer.bias))
        self.started = (outputs + link).contiguous()

    def write(self, values: Tensor, j: int) -> None:
        """Set the input at column `j` of the current row to ``values [n, inputs]``."""
        self.inputs.write(values, j)

    def output(self, j: int) -> Tensor:
        """``[n, outputs]`` at column `j` of the current row."""
        window = self.slot[:, j : j + self.layer.radius + 1].flatten(1)
        return torch.addmm(self.started[j], window, self.weight)


def columns(row: Tensor) -> Tensor:
    """``[n, features, 1, W]`` as ``[W, n, features]``."""
    return row.squeeze(2).permute(2, 0, 1)


class CachedPointwise:
    """A 1x1 `CausalConv` at single pixels."""

    def __init__(self, layer: CausalConv) -> None:
        self.weight, self.bias = layer.row_weight(), layer.bias

    def __call__(self, x: Tensor) -> Tensor:
        """``[n, inputs]`` to ``[n, outputs]``."""
        return torch.addmm(self.bias, x, self.weight)
