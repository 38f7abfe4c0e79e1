"""Diagonal BiLSTM (van den Oord, Kalchbrenner & Kavukcuoglu 2016, section 3.2): a full receptive field.

A diagonal is one step: the state of a pixel reads that of its left neighbour and of the one above, from the
upper left corner on; a second direction does the same from the upper right. The paper skews the map so that
a diagonal becomes a column; here the map is put in the order of its diagonals, which holds no padding, and
both directions run in one batch. The second direction's states have seen pixels to the right, so that a
pixel takes those of the row above (figure 4).

Deviation: as published, a row's last pixel escapes the next row's first ones, since the features at a pixel
(behind mask A) do not hold the pixel itself and the second direction, starting there, never meets it again.
Being a row late it may see that pixel: in the first layer it does.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgmbench.data.schema import Schema
from dgmbench.models.autoregressive.causal import CachedPointwise, CausalConv
from dgmbench.models.autoregressive.lane_lstm import LaneLSTM
from dgmbench.models.autoregressive.lane_plan import Plan
from dgmbench.models.autoregressive.pixelrnn import PixelRNN, PixelRNNSettings, lstm_step


class DiagonalBiLSTMLayer(nn.Module):
    """One layer of both directions; a lane per row, a step per diagonal."""

    order: Tensor
    place: Tensor

    def __init__(self, settings: PixelRNNSettings, image_shape: tuple[int, int, int], groups: int) -> None:
        super().__init__()
        h, (_, height, width) = settings.features, image_shape
        self.input_to_state = CausalConv(2 * h, 8 * h, 1, groups=groups, gates=8)
        # At step t, row r is at column t - r: the left neighbour is in its lane, the pixel above in r - 1.
        spans = [(max(0, t - width + 1), min(height, t + 1)) for t in range(height + width - 1)]
        plan = Plan(spans, (0, -1))
        self.state_to_state = LaneLSTM(plan, h, directions=2)
        pixels = [(r, t - r) for t, (first, last) in enumerate(spans) for r in range(first, last)]
        rows, columns = torch.tensor(pixels).T
        order = torch.stack([rows * width + columns, rows * width + width - 1 - columns])
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("place", order.argsort(1), persistent=False)

    def forward(self, x: Tensor, right: Tensor | None = None) -> Tensor:
        """``[H, W, n, 2h]`` to ``[H, W, n, h]``; `right` replaces the second direction's input."""
        height, width, n, _ = x.shape
        sides = (x, x if right is None else right)
        inputs = torch.stack([side.flatten(0, 1)[k] for side, k in zip(sides, self.order, strict=True)])
        weight, bias = self.input_weights()
        one, two = self.state_to_state(inputs, weight, bias).unbind()
        shifted = F.pad(two[self.place[1, :-width]], (0, 0, 0, 0, width, 0))
        return (one[self.place[0]] + shifted).view(height, width, n, -1)

    def input_weights(self) -> tuple[Tensor, Tensor]:
        """Input-to-state weights ``[2, 2h, 4h]`` and biases ``[2, 4h]`` of the two directions."""
        weight = self.input_to_state.row_weight().unflatten(1, (2, -1)).transpose(0, 1)
        return weight.contiguous(), self.input_to_state.bias.view(2, -1)


class DiagonalBiLSTM(PixelRNN):
    """A stack of Diagonal BiLSTM layers."""

    Settings = PixelRNNSettings

    def __init__(self, settings: PixelRNNSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        # One group: where this goes, all of the pixel's colours are past.
        self.pixel = CausalConv(self.image_shape[0], 2 * settings.features, 1, groups=1)

    def states(self, index: int, stream: Tensor, x: Tensor) -> Tensor:
        """Layer `index`'s states for its input ``stream [H, W, n, 2h]``; x is the scaled image."""
        right = stream + self.pixel(x).permute(2, 3, 0, 1) if index == 0 else stream
        return self.layers[index](stream, right)

    def layer(self, settings: PixelRNNSettings) -> DiagonalBiLSTMLayer:
        """A Diagonal BiLSTM layer."""
        return DiagonalBiLSTMLayer(settings, self.image_shape, self.groups)

    def start_states(self, n: int) -> _States:
        """The cache of all layers for `n` empty images."""
        return _States([layer for layer in self.layers if isinstance(layer, DiagonalBiLSTMLayer)], n, self)


class _Direction:
    """Weights and states of one direction in all layers: ``hidden [layers, W + 1, n, h]`` holds a row.

    Slot 0 is the learned state beyond the row's end where the direction begins.
    """

    def __init__(self, layers: list[DiagonalBiLSTMLayer], which: int, n: int, width: int) -> None:
        inputs = [layer.input_weights() for layer in layers]
        self.input_weight = torch.stack([weight[which] for weight, _ in inputs])
        self.bias = torch.stack([bias[which] for _, bias in inputs])[:, None]
        states = [layer.state_to_state for layer in layers]
        self.beside, self.above = torch.stack([state.weight[which] for state in states]).chunk(2, 1)
        hidden = torch.stack([state.hidden[which] for state in states])
        cell = torch.stack([state.cell[which] for state in states])
        self.hidden = hidden[:, None, None].repeat(1, width + 1, n, 1)
        self.cells = cell[:, None, None].repeat(1, width + 1, n, 1)

    def from_above(self) -> Tensor:
        """What the next row's gates take from this row, ``[layers, W, n, 4h]``; bias included."""
        layers, slots, n, _ = self.hidden.shape
        gates = torch.baddbmm(self.bias, self.hidden[:, 1:].flatten(1, 2), self.above)
        return gates.view(layers, slots - 1, n, -1)


class _States:
    """Of all layers, the left direction at the pixels so far and the right one up to the row above.

    The right direction runs through a row once that is complete, all layers in one batch.
    """

    def __init__(self, layers: list[DiagonalBiLSTMLayer], n: int, model: DiagonalBiLSTM) -> None:
        width, h = model.image_shape[2], model.features
        self.left, self.right = (_Direction(layers, which, n, width) for which in (0, 1))
        self.inputs = self.left.hidden.new_empty((len(layers), width, n, 2 * h))
        self.shifted = self.left.hidden.new_zeros((len(layers), width, n, h))
        self.pixel = CachedPointwise(model.pixel)
        self.started = self.inputs

    def start_row(self, i: int) -> None:
        if i > 0:
            self._finish_right()
        self.started = self.left.from_above()

    def _finish_right(self) -> None:
        """Run the right direction through the row that has just been completed."""
        side, (layers, width, n, _) = self.right, self.inputs.shape
        inputs = torch.bmm(self.inputs.flip(1).flatten(1, 2), side.input_weight)
        gates = side.from_above() + inputs.view(layers, width, n, -1)
        for k in range(width):
            gate = torch.baddbmm(gates[:, k], side.hidden[:, k], side.beside)
            side.hidden[:, k + 1], side.cells[:, k + 1] = lstm_step(gate, side.cells[:, k])
        self.shifted = side.hidden[:, 1:].flip(1)

    def state_at(self, layer: int, x: Tensor, j: int) -> Tensor:
        self.inputs[layer, j] = x
        side = self.left
        gates = torch.addmm(self.started[layer, j], x, side.input_weight[layer])
        gates = gates.addmm_(side.hidden[layer, j], side.beside[layer])
        hidden, cell = lstm_step(gates, side.cells[layer, j])
        side.hidden[layer, j + 1], side.cells[layer, j + 1] = hidden, cell
        return hidden + self.shifted[layer, j]

    def store(self, pixel: Tensor, j: int) -> None:
        self.inputs[0, j] += self.pixel(pixel)
