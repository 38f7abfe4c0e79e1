"""The random numbers of likelihood estimates, in blocks, so that no memory limit changes an estimate.

The (point, draw) plane is cut into *noise blocks* of fixed size (`NoiseBlock`). Each block has a generator of
its own, seeded by (seed, index of the point block, index of the draw block), and is one call of
`log_weights`. `max_evaluations` caps the size of that call but never moves the cuts. It follows that

- the result depends on the data, the seed and the block size alone;
- the ELBO and the importance-sampled log-likelihood with one seed see the same draws, so that over K draws
  ELBO <= L_K holds for every single image, not only on average (Jensen).

The price is that whole blocks are drawn: an ELBO of one draw costs what 100 do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Never

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from dgmbench.errors import CapabilityError
from dgmbench.models.capabilities import HasLogWeights, PreparesLogWeights

# log_weights(x [n, ...], k, generator) -> log p(x, z) - log q(z|x) of k draws, [k, n], in nats.
LogWeights = Callable[[Tensor, int, torch.Generator], Tensor]


class Weigher:
    """The `LogWeights` of a model; one that can prepare for images does so once for each block of points.

    Args:
        model: has `log_weights`, and perhaps `log_weights_of` (`PreparesLogWeights`).
    """

    def __init__(self, model: HasLogWeights) -> None:
        self.model = model
        self.images: Tensor | None = None
        self.prepared: Callable[[int, torch.Generator], Tensor]

    def __call__(self, x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """``[k, n]`` log weights in nats, without gradients."""
        if not isinstance(self.model, PreparesLogWeights):
            return self.model.log_weights(x, k, generator)
        if x is not self.images:
            self.images, self.prepared = x, self.model.log_weights_of(x)
        return self.prepared(k, generator)


@dataclass(frozen=True)
class NoiseBlock:
    """The part of the (point, draw) plane that shares one generator, and one call of the model.

    The default's 3200 rows keep a CPU busy despite the fixed cost of each call, at some 10 MB for each
    784-dimensional tensor; larger blocks, with `max_evaluations` to match, suit a GPU.
    """

    points: int = 32
    draws: int = 100

    def __post_init__(self) -> None:
        if self.points < 1 or self.draws < 1:
            raise ValueError("a noise block holds at least one point and one draw")


def weight_blocks(
    log_weights: LogWeights, points: Tensor, index: int, n_draws: int, seed: int, block: NoiseBlock
) -> Iterator[tuple[int, Tensor]]:
    """Yield (first draw, log weights [block.draws, n]) for each noise block of one block of points."""
    for draw_index, start in enumerate(range(0, n_draws, block.draws)):
        generator = _block_generator(seed, index, draw_index, points.device)
        weights = log_weights(points, block.draws, generator)
        yield start, checked(weights, (block.draws, len(points)), "log_weights")


def _block_generator(seed: int, point_block: int, draw_block: int, device: torch.device) -> torch.Generator:
    """The generator of one noise block; SeedSequence keeps neighbouring blocks independent."""
    entropy = np.random.SeedSequence([seed, point_block, draw_block]).generate_state(1, np.uint64)
    return torch.Generator(device=device).manual_seed(int(entropy[0] >> np.uint64(1)))


def checked(values: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    """`values` on the CPU in float64, after checking their shape and that none is NaN."""
    if tuple(values.shape) != shape:
        raise ValueError(f"{name} gave shape {tuple(values.shape)} where {shape} was due")
    # To the CPU first: not every accelerator has float64.
    values = values.detach().cpu().to(torch.float64)
    if bool(torch.isnan(values).any()):
        raise ValueError(f"{name} gave NaN for {int(torch.isnan(values).sum())} of {values.numel()} values")
    return values


def check_data(x: Tensor) -> None:
    """Raise ValueError if there are no images."""
    if x.ndim == 0 or len(x) == 0:
        raise ValueError("there are no images to evaluate; give at least one along the first dimension")


def check_call(x: Tensor, block: NoiseBlock, max_evaluations: int) -> None:
    """Raise CapabilityError if `max_evaluations` is below one block of these images."""
    check_data(x)
    size = min(block.points, len(x)) * block.draws
    if max_evaluations < size:
        raise CapabilityError(
            f"max_evaluations={max_evaluations} is below one noise block of {min(block.points, len(x))} "
            f"points x {block.draws} draws; {size} works, or a smaller noise_block (which changes the draws)"
        )


def keep_freed_memory() -> None:
    """Have glibc keep what is freed, rather than map and clear pages anew for every block's tensors.

    It hands back freed memory beyond limits that follow the largest block freed so far, up to 32 MiB. Without
    this a fifth to a third of an estimate's time can go there; elsewhere than under glibc it does nothing.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def progress_bar(
    n_points: int, n_draws: int, block: NoiseBlock, title: str, progress: bool | None
) -> tqdm[Never]:
    """A bar over the calls of `log_weights`, on standard error; `progress` None: on a terminal only."""
    calls = math.ceil(n_points / block.points) * math.ceil(n_draws / block.draws)
    # tqdm itself writes to standard error, and `disable=None` means "unless that is a terminal".
    disable = None if progress is None else not progress
    return tqdm(total=calls, desc=title, unit="block", delay=2.0, disable=disable, leave=False)
