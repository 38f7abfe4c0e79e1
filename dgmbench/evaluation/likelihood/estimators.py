"""Log-likelihoods of held-out images: exact, the ELBO, and importance-sampled (all in nats per image).

The draws come in blocks: see `noise_blocks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Never

import torch
from torch import Tensor
from tqdm import tqdm

from dgmbench.blocks import BlockStore
from dgmbench.errors import CapabilityError
from dgmbench.evaluation.likelihood.noise_blocks import (
    LogWeights,
    NoiseBlock,
    check_call,
    check_data,
    checked,
    keep_freed_memory,
    progress_bar,
    weight_blocks,
)

LogProb = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PointEstimates:
    """One estimate per test image.

    values: float64 [n] on the CPU, nats.
    effective_sample_size: float64 [n] or None; of the importance weights, between 1 and K. A small value
        (near 1) says that a single draw carries the estimate, so the bound is likely loose.
    """

    values: Tensor
    effective_sample_size: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    def mean(self) -> float:
        """Average over images, in nats."""
        return float(self.values.mean())

    def std_error(self) -> float | None:
        """Standard error of the mean over images; None for one image or where a value is infinite."""
        if len(self.values) < 2 or not bool(torch.isfinite(self.values).all()):
            return None
        return float(self.values.std(correction=1)) / math.sqrt(len(self.values))


def exact_log_likelihood(log_prob: LogProb, x: Tensor, batch_size: int = 256) -> PointEstimates:
    """Exact log p(x) of each image; `log_prob` maps [b, ...] to [b] nats.

    Accumulated in float64. Raises ValueError on no data, a batch size below 1, a wrong shape or NaN.
    """
    check_data(x)
    if batch_size < 1:
        raise ValueError(f"batch_size is at least 1, not {batch_size}")
    parts = []
    with torch.no_grad():
        for batch in x.split(batch_size):
            parts.append(checked(log_prob(batch), (len(batch),), "log_prob"))
    return PointEstimates(torch.cat(parts))


def elbo(
    log_weights: LogWeights,
    x: Tensor,
    n_samples: int = 1,
    seed: int = 0,
    max_evaluations: int = 4096,
    *,
    noise_block: NoiseBlock | None = None,
    progress: bool | None = False,
) -> PointEstimates:
    """ELBO of each image: the mean over `n_samples` draws of log p(x, z) - log q(z|x).

    Kingma & Welling 2014, eq. (2). x: [n, ...] on the device the model is on. At most `max_evaluations`
    (points x draws) go through the model at once; the value does not depend on it. `progress` and the errors
    raised are those of `importance_sampled_log_likelihood`.
    """
    block = noise_block or NoiseBlock()
    _check_draws(n_samples)
    check_call(x, block, max_evaluations)
    keep_freed_memory()
    parts = []
    with progress_bar(len(x), n_samples, block, "ELBO", progress) as bar, torch.no_grad():
        for index, points in enumerate(x.split(block.points)):
            total = torch.zeros(len(points), dtype=torch.float64)
            for start, weights in weight_blocks(log_weights, points, index, n_samples, seed, block):
                total += weights[: n_samples - start].sum(0)
                bar.update()
            parts.append(total / n_samples)
    return PointEstimates(torch.cat(parts))


def importance_sampled_log_likelihood(
    log_weights: LogWeights,
    x: Tensor,
    ks: Sequence[int],
    seed: int = 0,
    max_evaluations: int = 4096,
    *,
    noise_block: NoiseBlock | None = None,
    progress: bool | None = None,
    resume: BlockStore | None = None,
) -> dict[int, PointEstimates]:
    """L_K of each image, log (1/K) sum_k w_k, for every K in `ks` (Burda et al. 2015, eq. 8).

    One pass draws the largest K; a smaller K uses the first K of the same draws. Each (1/K) sum_k w_k stays
    an unbiased estimate of p(x), and so each L_K a lower bound in expectation; different K are correlated,
    which makes their difference less noisy. Whole noise blocks are always drawn, so L_K is the same number
    whichever other K are requested. A streaming log-sum-exp in float64 holds one number per image.

    x: [n, ...] on the device the model is on. max_evaluations: the most (points x draws) that one call of
    `log_weights` may get; the result does not depend on it. progress: a bar with the remaining time on
    standard error; None shows it on a terminal only, and only if the work takes over two seconds. resume: a
    store of finished points, whose fingerprint covers the model and the data; what it holds of this
    seed, these K and this block size is taken from there, and the result is the same to the byte. The caller
    discards it once the result is safe.

    Raises CapabilityError if there is no K, a K below 1, or a `max_evaluations` below the noise block, and
    ValueError for no data, NaN or wrongly shaped weights.
    """
    block = noise_block or NoiseBlock()
    wanted = _check_ks(ks)
    check_call(x, block, max_evaluations)
    keep_freed_memory()
    call = torch.tensor([seed % 2**63, block.points, block.draws, *wanted])
    parts = []
    with progress_bar(len(x), wanted[-1], block, f"L_{wanted[-1]}", progress) as bar, torch.no_grad():
        for index, points in enumerate(x.split(block.points)):
            sums = _resumed(resume, index, call, len(points))
            if sums is None:
                blocks = weight_blocks(log_weights, points, index, wanted[-1], seed, block)
                sums = torch.stack(list(_prefix_sums(blocks, wanted, len(points), bar)))
                if resume is not None:
                    resume.put(index, {"call": call, "log_sums": sums})
            else:
                bar.update(math.ceil(wanted[-1] / block.draws))
            parts.append(sums)
    return {k: _estimate(sums, k) for k, sums in zip(wanted, torch.cat(parts, dim=2), strict=True)}


def _resumed(store: BlockStore | None, index: int, call: Tensor, n_points: int) -> Tensor | None:
    """[len(ks), 2, n] log sums of an earlier call with the same seed, blocks and K, if there are any."""
    kept = None if store is None else store.get(index)
    if kept is None or not torch.equal(kept["call"], call) or kept["log_sums"].shape[2] != n_points:
        return None
    return kept["log_sums"]


def _prefix_sums(
    blocks: Iterator[tuple[int, Tensor]], wanted: Sequence[int], n_points: int, bar: tqdm[Never]
) -> Iterator[Tensor]:
    """Yield [2, n], log sum w and log sum w^2 of the first k draws, for each k in rising order."""
    running = torch.full((2, n_points), -math.inf, dtype=torch.float64)
    pending = list(wanted)
    for start, weights in blocks:
        while pending and pending[0] <= start + len(weights):
            k = pending.pop(0)
            yield torch.logaddexp(running, _log_power_sums(weights[: k - start]))
        running = torch.logaddexp(running, _log_power_sums(weights))
        bar.update()


def _log_power_sums(weights: Tensor) -> Tensor:
    """log sum_k w_k and log sum_k w_k^2 of log weights [k, n], as [2, n]."""
    # All weights may be zero: their logarithms are then taken as they are.
    largest = torch.nan_to_num(weights.amax(0), neginf=0.0)
    relative = torch.exp(weights - largest)
    first, second = relative.sum(0).log(), relative.square().sum(0).log()
    return torch.stack([first + largest, second + 2 * largest])


def _estimate(log_sums: Tensor, k: int) -> PointEstimates:
    """L_K and Kish's effective sample size (sum w)^2 / sum w^2 from [2, n] log sums."""
    first, second = log_sums
    # Where every weight is zero, both sums are and the quotient is 0/0: no draw is effective.
    size = torch.nan_to_num(torch.exp(2 * first - second), nan=0.0)
    return PointEstimates(first - math.log(k), size)


def _check_draws(n_samples: int) -> None:
    if n_samples < 1:
        raise CapabilityError(f"an ELBO needs at least 1 draw of z, not {n_samples}; 1 is unbiased already")


def _check_ks(ks: Sequence[int]) -> list[int]:
    """The distinct K in rising order."""
    if len(ks) == 0:
        raise CapabilityError("no number of importance samples K is given; a list such as [50, 1000] works")
    if min(ks) < 1:
        raise CapabilityError(f"L_K averages K >= 1 importance weights, not {min(ks)}; K = 1 gives the ELBO")
    return sorted(set(ks))
