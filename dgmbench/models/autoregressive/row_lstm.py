"""Row LSTM (van den Oord, Kalchbrenner & Kavukcuoglu 2016, section 3.1).

A row is one step: the input-to-state convolution (3x1, masked to the left) covers the whole map at once, the
state-to-state convolution (3x1, not masked) reads the row above. A layer's states depend on a triangle above
the pixel, not on all of it.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from dgmbench.models.autoregressive.causal import CachedConv, CausalConv, OddInt
from dgmbench.models.autoregressive.lane_lstm import LaneLSTM
from dgmbench.models.autoregressive.lane_plan import Plan
from dgmbench.models.autoregressive.pixelrnn import PixelRNN, PixelRNNSettings, lstm_step


class RowLSTMSettings(PixelRNNSettings):
    """Width and depth of the network."""

    kernel: OddInt = Field(3, description="size of both convolutions along the row, odd")


class RowLSTMLayer(nn.Module):
    """One layer; a lane per column, a step per row."""

    def __init__(self, settings: RowLSTMSettings, image_shape: tuple[int, int, int], groups: int) -> None:
        super().__init__()
        h, (_, height, width) = settings.features, image_shape
        self.input_to_state = CausalConv(2 * h, 4 * h, settings.kernel, groups=groups, above=False, gates=4)
        radius = settings.kernel // 2
        plan = Plan([(0, width)] * height, tuple(range(-radius, radius + 1)))
        self.state_to_state = LaneLSTM(plan, h)

    def forward(self, x: Tensor) -> Tensor:
        """``[H, W, n, 2h]`` to ``[H, W, n, h]``."""
        layer = self.input_to_state
        inputs = layer.windows(x).flatten(0, 1)[None]
        states = self.state_to_state(inputs, layer.row_weight()[None], layer.bias[None])
        return states.view(*x.shape[:3], -1)


class RowLSTM(PixelRNN):
    """A stack of Row LSTM layers."""

    Settings = RowLSTMSettings

    def layer(self, settings: PixelRNNSettings) -> RowLSTMLayer:
        """A Row LSTM layer."""
        assert isinstance(settings, RowLSTMSettings)
        return RowLSTMLayer(settings, self.image_shape, self.groups)

    def start_states(self, n: int) -> _States:
        """The cache of all layers for `n` empty images."""
        return _States([layer for layer in self.layers if isinstance(layer, RowLSTMLayer)], n, self)


class _States:
    """Of all layers, the states of the row above and of the current one so far.

    All that a row takes from the one above is one product, for all layers and columns, when it begins.
    """

    def __init__(self, layers: list[RowLSTMLayer], n: int, model: RowLSTM) -> None:
        self.width = model.image_shape[2]
        self.radius = layers[0].input_to_state.radius
        self.inputs = [CachedConv(layer.input_to_state, n, self.width) for layer in layers]
        self.weight = torch.cat([layer.state_to_state.weight for layer in layers])
        hidden = torch.cat([layer.state_to_state.hidden for layer in layers])
        cell = torch.cat([layer.state_to_state.cell for layer in layers])
        # Beyond either end of a row, as above the first one, the states are the learned ones.
        self.hidden = hidden[:, None, None].repeat(1, self.width + 2 * self.radius, n, 1)
        self.cells = cell[:, None, None].repeat(1, self.width, n, 1)
        self.above = self.cells

    def start_row(self, i: int) -> None:
        windows = [self.hidden[:, k : k + self.width] for k in range(2 * self.radius + 1)]
        links = torch.bmm(torch.cat(windows, -1).flatten(1, 2), self.weight)
        for layer, link in zip(self.inputs, links, strict=True):
            layer.start_row(link.view(self.width, -1, link.shape[1]))
        self.above = self.cells.clone()

    def state_at(self, layer: int, x: Tensor, j: int) -> Tensor:
        self.inputs[layer].write(x, j)
        hidden, cell = lstm_step(self.inputs[layer].output(j), self.above[layer, j])
        self.hidden[layer, j + self.radius], self.cells[layer, j] = hidden, cell
        return hidden

    def store(self, pixel: Tensor, j: int) -> None:
        pass
