"""PixelCNN on a CPU: a training step by memory format and kernel shape, sampling with and without cache.

Prints milliseconds (medians) and ratios within this run: `python benchmarks/pixelcnn.py`.
The named alternatives are the same architecture with square masked kernels in the default memory format (as
commonly written), and sampling by one full forward pass per pixel.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dgmbench.models.pixelcnn import CausalConv, PixelCNN, PixelCNNSettings, invert

SHAPE = (1, 28, 28)


def model_of(features: int, blocks: int) -> PixelCNN:
    settings = {"family": "pixelcnn", "view": "binary", "features": features, "blocks": blocks}
    return PixelCNN(PixelCNNSettings.model_validate(settings), SHAPE, 256)


def square_forward(layer: CausalConv, x: Tensor) -> Tensor:
    """The layer as a masked square kernel, its lower rows zero."""
    lower = layer.weight.new_zeros(*layer.weight.shape[:2], layer.radius, layer.weight.shape[3])
    return F.conv2d(x, torch.cat([layer.weight * layer.mask, lower], 2), layer.bias, padding=layer.radius)


def training_step(model: PixelCNN, x: Tensor) -> Callable[[], None]:
    optimiser = torch.optim.Adam(model.parameters())

    def step() -> None:
        optimiser.zero_grad()
        model.step(x, "model", torch.Generator())["loss"].backward()
        optimiser.step()

    return step


def as_commonly_written(model: PixelCNN) -> PixelCNN:
    for module in model.modules():
        if isinstance(module, CausalConv):
            module.forward = square_forward.__get__(module)  # type: ignore[method-assign]
    model._hidden = default_format_hidden.__get__(model)  # type: ignore[method-assign]
    return model.to(memory_format=torch.contiguous_format)


def default_format_hidden(model: PixelCNN, x: Tensor) -> Tensor:
    return F.relu(model.head(F.relu(model.blocks(model.first(model._scaled(x))))))


@torch.no_grad()
def naive_sample(model: PixelCNN, n: int) -> Tensor:
    uniforms = torch.rand((n, *SHAPE), dtype=torch.float64)
    x = torch.zeros((n, *SHAPE))
    for i in range(SHAPE[1]):
        for j in range(SHAPE[2]):
            x[:, 0, i, j] = invert(model.logits(x)[:, 0, :, i, j], uniforms[:, 0, i, j]).float()
    return x


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--batch", type=int, default=32, help="images of a training step")
    parser.add_argument("--samples", type=int, default=64, help="images drawn at once")
    arguments = parser.parse_args()
    x = (torch.rand(arguments.batch, *SHAPE) < 0.2).float()
    size = (arguments.features, arguments.blocks)
    ours = milliseconds(training_step(model_of(*size), x), 7)
    usual = milliseconds(training_step(as_commonly_written(model_of(*size)), x), 7)
    print(f"training step: ours {ours:.0f} ms, usual {usual:.0f} ms, ratio {usual / ours:.1f}")
    model = model_of(*size)
    cached = milliseconds(lambda: model.sample(arguments.samples, torch.Generator()), 3)
    naive = milliseconds(lambda: naive_sample(model, arguments.samples), 1)
    times = f"cached {cached:.0f} ms, naive {naive:.0f} ms, ratio {naive / cached:.1f}"
    print(f"{arguments.samples} samples: {times}")


if __name__ == "__main__":
    main()
