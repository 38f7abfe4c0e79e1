"""What Row LSTM and Diagonal BiLSTM share (van den Oord, Kalchbrenner & Kavukcuoglu 2016, figure 5, right).

A mask-A convolution gives 2h features; each layer's LSTM makes h of them, which a 1x1 convolution brings
back to 2h and adds to its input (residual connection). With skip connections another 1x1 convolution of
every layer's states goes to the output directly (section 3.3).

Deviation: the optimiser is a setting (`pixelrnn` has the RMSProp of the paper), Adam by default.
"""

from __future__ import annotations

from typing import Protocol

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dgmbench.data.schema import Schema
from dgmbench.models.autoregressive.causal import CachedConv, CachedPointwise, CausalConv, WideOddInt
from dgmbench.models.autoregressive.pixelwise import Autoregressive, AutoregressiveSettings
from dgmbench.settings.block import Few


class PixelRNNSettings(AutoregressiveSettings):
    """Width and depth of the network."""

    features: PositiveInt = Field(16, description="h; the residual stream has 2h features")
    layers: Few = Field(7, description="LSTM layers")
    first_kernel: WideOddInt = Field(7, description="size of the first convolution, odd, 3 or more")
    residual: bool = Field(True, description="each layer adds to its input instead of replacing it")
    skip: bool = Field(True, description="each layer also feeds the output directly")


class LayerStates(Protocol):
    """Cached states of all layers, row by row."""

    def start_row(self, i: int) -> None:
        """Begin row `i`; the rows above are final."""
        ...

    def state_at(self, layer: int, x: Tensor, j: int) -> Tensor:
        """States ``[n, h]`` of `layer` at column `j`, for its input ``x [n, 2h]`` there."""
        ...

    def store(self, pixel: Tensor, j: int) -> None:
        """The pixel at column `j` is ``[n, C]``."""
        ...


class PixelRNN(Autoregressive):
    """A stack of LSTM layers; subclasses say which.

    Maps are ``[H, W, n, features]`` in here: what an LSTM does in one step is one block of memory.
    """

    Settings = PixelRNNSettings

    def __init__(self, settings: PixelRNNSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        h, groups, count = settings.features, self.groups, settings.layers
        self.features, self.residual = h, settings.residual
        self.first = CausalConv(self.image_shape[0], 2 * h, settings.first_kernel, groups=groups, strict=True)
        self.layers = nn.ModuleList(self.layer(settings) for _ in range(count))
        self.expand = nn.ModuleList(CausalConv(h, 2 * h, 1, groups=groups) for _ in range(count))
        skips = count if settings.skip else 0
        self.skip = nn.ModuleList(CausalConv(h, 2 * h, 1, groups=groups) for _ in range(skips))
        self._add_head(2 * h, settings)

    def layer(self, settings: PixelRNNSettings) -> nn.Module:
        """An LSTM layer from ``[H, W, n, 2h]`` to ``[H, W, n, h]``."""
        raise NotImplementedError

    def states(self, index: int, stream: Tensor, x: Tensor) -> Tensor:
        """Layer `index`'s states for its input ``stream [H, W, n, 2h]``; x is the scaled image."""
        return self.layers[index](stream)

    def start_states(self, n: int) -> LayerStates:
        """The cache of all layers for `n` empty images."""
        raise NotImplementedError

    def hidden(self, x: Tensor) -> Tensor:
        """``[n, 2h, H, W]`` for scaled images."""
        stream = self.first(x).permute(2, 3, 0, 1).contiguous()
        skipped: Tensor | float = 0.0
        for index, expand in enumerate(self.expand):
            states = self.states(index, stream, x)
            change = pointwise(expand, states)
            stream = stream + change if self.residual else change
            if len(self.skip):
                skipped = skipped + pointwise(self.skip[index], states)
        return (stream + skipped).permute(2, 3, 0, 1)

    def at_pixels(self, layer: CausalConv, x: Tensor) -> Tensor:
        """A 1x1 convolution of ``[n, inputs, H, W]`` that is ``[H, W, n, inputs]`` in memory."""
        return pointwise(layer, x.permute(2, 3, 0, 1)).permute(2, 3, 0, 1)

    def start_cache(self, n: int) -> _Cache:
        """The cache of `n` empty images."""
        return _Cache(self, n)


def pointwise(layer: nn.Module, x: Tensor) -> Tensor:
    """A 1x1 `CausalConv` on a map ``[H, W, n, inputs]``."""
    assert isinstance(layer, CausalConv)
    return torch.addmm(layer.bias, x.flatten(0, 2), layer.row_weight()).view(*x.shape[:3], -1)


class _Cache:
    def __init__(self, model: PixelRNN, n: int) -> None:
        self.first = CachedConv(model.first, n, model.image_shape[2])
        self.states, self.residual = model.start_states(n), model.residual
        self.expand = [CachedPointwise(layer) for layer in model.expand if isinstance(layer, CausalConv)]
        self.skip = [CachedPointwise(layer) for layer in model.skip if isinstance(layer, CausalConv)]

    def start_row(self, i: int) -> None:
        self.first.start_row()
        self.states.start_row(i)

    def hidden_at(self, pixel: Tensor, i: int, j: int) -> Tensor:
        self.first.write(pixel, j)
        stream, skipped = self.first.output(j), []
        for index, expand in enumerate(self.expand):
            states = self.states.state_at(index, stream, j)
            change = expand(states)
            stream = stream + change if self.residual else change
            skipped += [skip(states) for skip in self.skip[index : index + 1]]
        return sum(skipped, start=stream)

    def store(self, pixel: Tensor, i: int, j: int) -> None:
        self.first.write(pixel, j)
        self.states.store(pixel, j)


def lstm_step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """New hidden state and cell for ``gates [..., 4h]`` in order i, f, o, g (eq. 3)."""
    h = cell.shape[-1]
    i, f, o = torch.sigmoid(gates[..., : 3 * h]).split(h, -1)
    new = torch.addcmul(f * cell, i, torch.tanh(gates[..., 3 * h :]))
    return o * torch.tanh(new), new
