"""PixelCNN and Gated PixelCNN on a CPU: a training step by layout, and sampling with and without a cache.

    python benchmarks/pixelcnn.py
    python benchmarks/pixelcnn.py --threads 1                       # by process time, on a busy machine
    python benchmarks/pixelcnn.py --precision bfloat16 --compile    # two settings that are off by themselves

Both sides of a comparison take turns, so that a busy machine slows both; printed are medians, ranges and the
median of the ratios. The named alternatives:

- training: the same network as it is commonly written (pytorch-generative's way: a square kernel whose
  weights are multiplied by a mask before each pass, tensors in torch's default memory format), always in
  float32 and not compiled. Of both sides the share of torch's convolutions is printed, and what the ratio
  would be if all else of ours took no time;
- sampling: one full forward pass of our own network per pixel. Only some of the 784 passes are timed, each
  checked against the cached sampler's pixel, and the total is scaled up from their median.

Measured with `--threads 1` on an Intel Xeon with AMX (2 cores, 2 MiB of L2 cache each), torch 2.15.0, beside
other programs, hence by process time; medians of 9, ranges in brackets:

    training step of 64     float32 1.3 (1.3-1.5)     compiled 1.8 (1.7-1.8)
                            bfloat16 1.8 (1.7-1.9)    bfloat16, compiled 2.5 (2.3-2.8)
    64 samples              PixelCNN 117 (114-124)    gated PixelCNN 263 (262-276)

What limits the step in float32: either side spends most of it in the same library's convolutions (58 % of
ours, 79 % of the usual one), which run at about 100 GFLOPS with a mask or without. A kernel of 2 x 3 for one
of 3 x 3 saves a third of one layer in three, and the default memory format, 4.7 times slower where this was
first tried, costs nothing here. If all else of ours took no time the ratio would be 2.3. Residual blocks
with a gradient written out, no padding and no copies took 5 to 15 % off our step, and are not in.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.models.autoregressive.causal import CausalConv
from dgmbench.models.autoregressive.outputs import invert
from dgmbench.models.autoregressive.pixelcnn import PixelCNN, ResidualBlock
from dgmbench.models.autoregressive.pixelwise import Autoregressive
from dgmbench.models.registry import family_class
from dgmbench.training.devices import autocast

SHAPE = (1, 28, 28)
PASSES = 9


def model_of(family: str, **settings: Any) -> Autoregressive:
    model_class = family_class(family)
    base = {"family": family, "view": "binary"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(model_class.Settings.model_validate(base | settings), image_schema(SHAPE, 256))
    assert isinstance(model, Autoregressive)
    return model


class MaskedConv(nn.Conv2d):
    """A square kernel, masked before each pass."""

    def __init__(self, like: CausalConv) -> None:
        outputs, inputs, _, size = like.weight.shape
        super().__init__(inputs, outputs, size, padding=size // 2)
        mask = torch.zeros(outputs, inputs, size, size)
        mask[:, :, : size // 2 + 1] = like.mask
        self.register_buffer("mask", mask)
        self.weight.data[:, :, : size // 2 + 1] = like.weight.data
        self.bias.data[:] = like.bias.data

    def forward(self, x: Tensor) -> Tensor:
        self.weight.data *= self.mask
        return super().forward(x)


def as_commonly_written(model: PixelCNN) -> nn.Sequential:
    """The same function with the same parameters, from {0, 1} images to logits."""

    class Block(nn.Module):
        def __init__(self, block: ResidualBlock) -> None:
            super().__init__()
            layers = (block.reduce, block.spatial, block.expand)
            self.net = nn.Sequential(*(part for layer in layers for part in (nn.ReLU(), MaskedConv(layer))))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.net(x)

    blocks = [Block(block) for block in model.blocks if isinstance(block, ResidualBlock)]
    tail = [
        part for layer in (model.head, model.head2, model.output) for part in (nn.ReLU(), MaskedConv(layer))
    ]
    return nn.Sequential(MaskedConv(model.first), *blocks, *tail)


def training_step(
    module: nn.Module, loss: Callable[[], Tensor], precision: str = "float32"
) -> Callable[[], float]:
    """A step of Adam, by torch's default implementation for both sides."""
    optimiser = torch.optim.Adam(module.train().parameters())

    def step() -> float:
        optimiser.zero_grad()
        with autocast(torch.device("cpu"), precision):
            value = loss()
        value.backward()
        optimiser.step()
        return value.item()

    return step


def timed(work: Callable[[], object]) -> float:
    """Milliseconds: of this process if it has one thread, else by the clock."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    work()
    return 1000 * (clock() - started)


def convolution_share(work: Callable[[], object], repeats: int = 3) -> float:
    """Which part of a piece of work torch's convolutions are."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(repeats):
            work()
    events = found.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    names = ("aten::mkldnn_convolution", "aten::convolution_backward")
    return sum(event.self_cpu_time_total for event in events if event.key in names) / total


def explain(ours: Callable[[], object], other: Callable[[], object], times: tuple[float, float]) -> None:
    """Print how much of a step is convolutions, and the ratio if all else of ours were free."""
    own, usual = convolution_share(ours), convolution_share(other)
    bound = times[1] / (own * times[0])
    print(
        f"  convolutions are {own:.0%} of ours and {usual:.0%} of the usual step; "
        f"with all else of ours free the ratio would be {bound:.1f}",
        flush=True,
    )


def compare(
    name: str, ours: Callable[[], object], other: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """Time both sides in turn, print medians, ranges and the ratio, and give the medians."""
    ours(), other()
    pairs = [(timed(ours), timed(other)) for _ in range(repeats)]
    own, others = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    report(name, own, others, "usual")
    return statistics.median(own), statistics.median(others)


def report(name: str, ours: list[float], others: list[float], label: str) -> None:
    ratios = [other / own for own, other in zip(ours, others, strict=True)]
    print(
        f"{name}: ours {spread(ours)} ms, {label} {spread(others)} ms, ratio {spread(ratios, 1)}", flush=True
    )


def spread(values: list[float], digits: int = 0) -> str:
    low, middle, high = (f(values) for f in (min, statistics.median, max))
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


@torch.no_grad()
def compare_sampling(name: str, model: Autoregressive, n: int, rounds: int = 3) -> None:
    """Cached sampling of `n` images against a full pass per pixel."""
    uniforms = torch.rand((n, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images = model.sample(n, torch.Generator().manual_seed(0))
    pixels = SHAPE[1] * SHAPE[2]

    def one_pass(index: int) -> None:
        i, j = divmod(index, SHAPE[2])
        earlier = (torch.arange(pixels) < index).view(SHAPE)
        value = invert(model.logits(images * earlier)[:, 0, :, i, j], uniforms[:, 0, i, j]).float()
        # A threshold within rounding error of a uniform number may fall either way.
        assert (value != images[:, 0, i, j]).sum() <= 1, (name, index)

    one_pass(0)
    cached, naive = [], []
    for k in range(rounds):
        cached.append(timed(lambda: model.sample(n, torch.Generator().manual_seed(0))))
        passes = [timed(lambda p=p: one_pass(p)) for p in range(40 * k, pixels, pixels // (PASSES // rounds))]
        naive.append(pixels * statistics.median(passes))
    report(f"{name}, {n} samples", cached, naive, "a pass per pixel")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--batch", type=int, default=64, help="images of a training step")
    parser.add_argument("--samples", type=int, default=64, help="images drawn at once")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--head", type=int, default=32, help="width of the head; 32 is the paper's")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32", help="of our steps"
    )
    parser.add_argument("--compile", action="store_true", help="our steps through torch.compile")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    size = {"features": arguments.features, "blocks": arguments.blocks, "head_features": arguments.head}
    x = (torch.rand(arguments.batch, *SHAPE, generator=torch.Generator().manual_seed(1)) < 0.2).float()
    model = model_of("pixelcnn", **size, compile=arguments.compile).eval()
    assert isinstance(model, PixelCNN)
    usual = as_commonly_written(model)
    torch.testing.assert_close(usual(2 * x - 1), model.logits(x).squeeze(2), atol=1e-4, rtol=1e-4)
    scale = SHAPE[1] * SHAPE[2]
    ours = training_step(
        model, lambda: model.step(Batch(x), "model", torch.Generator())["loss"], arguments.precision
    )
    other = training_step(usual, lambda: scale * F.binary_cross_entropy_with_logits(usual(2 * x - 1), x))
    how = f"{arguments.precision}, compiled" if arguments.compile else arguments.precision
    times = compare(f"PixelCNN, training step of {arguments.batch}, {how}", ours, other, arguments.repeats)
    explain(ours, other, times)
    for family in ("pixelcnn", "gated_pixelcnn"):
        compare_sampling(family, model_of(family, **size), arguments.samples)


if __name__ == "__main__":
    main()
