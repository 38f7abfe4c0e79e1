"""Row LSTM and Diagonal BiLSTM on a CPU: a training step, and sampling with and without a cache.

    python benchmarks/pixelrnn.py

The named alternative in training is the Diagonal BiLSTM as it is commonly written: the map is skewed, a loop
over its columns applies a convolution of kernel 2 to the state of the column before, each direction by
itself, and autograd differentiates the loop. It computes the same function. Sampling, and how times are
taken: see `benchmarks/pixelcnn.py`.

Measured with `--threads 1` on the machine described there, beside other programs, by process time; medians of
7 and 5, ranges in brackets:

    training step of 64, one layer    Diagonal BiLSTM 5.3 (4.6-6.1)
    64 samples, seven layers          Row LSTM 330 (317-363)    Diagonal BiLSTM 384 (378-391)

What limits the step: a fifth of ours is the recurrence and a quarter its gradient, 55 diagonals one after the
other, of 2 x 1,792 rows by 16 features at most: matrix products too small to run at full speed, and some ten
elementwise passes each. A sixth is copies, most of them between the layout of the first convolution and that
of the states, a tenth the first convolution's gradient; the rest are products over the whole map.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from pixelcnn import SHAPE, compare, compare_sampling, model_of, training_step
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.models.autoregressive.diagonal_bilstm import DiagonalBiLSTM, DiagonalBiLSTMLayer


class ColumnLoop(nn.Module):
    """One layer on ``[n, 2h, H, W]`` maps, with the parameters of one of ours.

    Without ``exact`` the columns' padding is not kept at zero, as is common: not the same function near the
    left border, and a little faster.
    """

    def __init__(self, like: DiagonalBiLSTMLayer, *, exact: bool) -> None:
        super().__init__()
        self.exact = exact
        weights, biases = like.input_weights()
        h = weights.shape[2] // 4
        self.input_to_state = nn.ModuleList(nn.Conv2d(2 * h, 4 * h, 1) for _ in range(2))
        self.state_to_state = nn.ModuleList(nn.Conv1d(h, 4 * h, 2, bias=False) for _ in range(2))
        for d in range(2):
            self.input_to_state[d].weight.data = weights[d].detach().T[:, :, None, None].clone()
            self.input_to_state[d].bias.data = biases[d].detach().clone()
            beside, above = like.state_to_state.weight[d].detach().split(h)
            self.state_to_state[d].weight.data = torch.stack([above.T, beside.T], 2).contiguous()

    def forward(self, x: Tensor, right: Tensor) -> Tensor:
        left = self.direction(x, 0)
        shifted = self.direction(right.flip(3), 1).flip(3)
        return left + F.pad(shifted[:, :, :-1], (0, 0, 1, 0))

    def direction(self, x: Tensor, d: int) -> Tensor:
        gates = skew(self.input_to_state[d](x))
        n, _, height, columns = gates.shape
        hidden = cell = x.new_zeros(n, gates.shape[1] // 4, height)
        states = []
        for t in range(columns):
            column = gates[:, :, :, t] + self.state_to_state[d](F.pad(hidden, (1, 0)))
            i, f, o, g = column.chunk(4, 1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            if self.exact:
                begun = (torch.arange(height) <= t).to(x.dtype)
                hidden, cell = hidden * begun, cell * begun
            states.append(hidden)
        return unskew(torch.stack(states, 3))


def skew(x: Tensor) -> Tensor:
    """Row r moves r columns to the right: ``[..., H, W]`` to ``[..., H, H + W - 1]``."""
    height = x.shape[2]
    rows = [F.pad(x[:, :, r], (r, height - 1 - r)) for r in range(height)]
    return torch.stack(rows, 2)


def unskew(x: Tensor) -> Tensor:
    """The inverse of `skew`."""
    height = x.shape[2]
    width = x.shape[3] - height + 1
    return torch.stack([x[:, :, r, r : r + width] for r in range(height)], 2)


def as_commonly_written(
    model: DiagonalBiLSTM, *, exact: bool
) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """Its modules, and the function from {0, 1} images to logits; one layer with its skip connection."""
    (layer,) = model.layers
    assert isinstance(layer, DiagonalBiLSTMLayer)
    loop = ColumnLoop(layer, exact=exact)
    parts = (model.first, model.expand[0], model.skip[0], model.pixel, model.head, model.head2, model.output)
    module = nn.ModuleList([loop, *parts]).to(memory_format=torch.contiguous_format)

    def logits(x: Tensor) -> Tensor:
        scaled = 2 * x - 1
        stream = model.first(scaled)
        states = loop(stream, stream + model.pixel(scaled))
        hidden = stream + model.expand[0](states) + model.skip[0](states)
        for conv in (model.head, model.head2, model.output):
            hidden = conv(F.relu(hidden))
        return hidden

    return module, logits


def compare_training(features: int, batch: int, repeats: int) -> None:
    x = (torch.rand(batch, *SHAPE, generator=torch.Generator().manual_seed(1)) < 0.2).float()
    ours = diagonal(features)
    with torch.no_grad():
        _, logits = as_commonly_written(diagonal(features), exact=True)
        torch.testing.assert_close(logits(x), ours.logits(x).squeeze(2), atol=1e-4, rtol=1e-4)
    module, logits = as_commonly_written(diagonal(features), exact=False)
    scale = SHAPE[1] * SHAPE[2]
    compare(
        f"Diagonal BiLSTM, one layer of {features}, training step of {batch}",
        training_step(ours, lambda: ours.step(Batch(x), "model", torch.Generator())["loss"]),
        training_step(module, lambda: scale * F.binary_cross_entropy_with_logits(logits(x), x)),
        repeats,
    )


def diagonal(features: int) -> DiagonalBiLSTM:
    model = model_of("diagonal_bilstm", features=features, layers=1)
    assert isinstance(model, DiagonalBiLSTM)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--layers", type=int, default=7, help="layers of the networks that are sampled from")
    parser.add_argument("--batch", type=int, default=64, help="images of a training step")
    parser.add_argument("--samples", type=int, default=64, help="images drawn at once")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    compare_training(arguments.features, arguments.batch, arguments.repeats)
    for family in ("row_lstm", "diagonal_bilstm"):
        model = model_of(family, features=arguments.features, layers=arguments.layers)
        compare_sampling(family, model, arguments.samples)


if __name__ == "__main__":
    main()
