"""What several controls measure with: a fitted PPCA, noise, k-means, Parzen scores."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from dgmbench.controls.control import Context, ControlSettings
from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.evaluation.likelihood.parzen import parzen_log_likelihood, select_bandwidth
from dgmbench.models.baselines.ppca import PPCA, PPCASettings
from dgmbench.results import Record
from dgmbench.settings.block import Few, Pair

# Images on a sheet.
SHOWN = 36
# Beyond so many (points x centres), k-means reads mini-batches.
LARGEST_LLOYD = 4_000_000
MINI_BATCH = 4096


class GridSettings(ControlSettings):
    """The bandwidths among which validation images choose, and how many images take part."""

    log10_bandwidths: Pair[float] = Field((-1.5, 0.0), description="range of the bandwidth grid")
    bandwidths: Few = Field(16, description="points of the grid")
    valid_points: PositiveInt = Field(500, description="validation points that choose the bandwidth")
    test_points: int = Field(1000, ge=2, description="test points that are scored")

    @property
    def grid(self) -> list[float]:
        """The bandwidths, in pixel units."""
        return np.logspace(*self.log10_bandwidths, self.bandwidths).tolist()


# Densities


def fit_ppca(context: Context, latent_dims: Sequence[int], train: Tensor, valid: Tensor) -> PPCA:
    """PPCA of ``train [n, C, H, W]`` on the context's device, its dimension chosen on `valid`.

    Raises SettingsError if a candidate of `latent_dims` is not below the number of pixels.
    """
    settings = PPCASettings(family="ppca", view="gray", latent_dims=list(latent_dims))
    channels, height, width = train.shape[1:]
    schema = image_schema((channels, height, width), context.data.levels)
    model = PPCA(settings, schema).to(context.device)
    model.fit(Batch(train), Batch(valid), context.generator("ppca"))
    return model


def with_uniform(log_density: Tensor, share: float) -> Tensor:
    """log of (1 - share) p + share U, where U is uniform on [0, 1]^d: 0 nats at every point inside."""
    return torch.logaddexp(math.log1p(-share) + log_density, torch.full_like(log_density, math.log(share)))


def replace_by_noise(samples: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Draws of that mixture: each of ``samples [n, ...]`` gives way to uniform noise with chance `share`."""
    device = samples.device
    chosen = torch.rand(len(samples), generator=generator, device=device) < share
    noise = torch.rand(samples.shape, generator=generator, device=device, dtype=samples.dtype)
    return torch.where(chosen.reshape(-1, *[1] * (samples.ndim - 1)), noise, samples)


def k_means(points: Tensor, k: int, seed: int, iterations: int) -> Tensor:
    """``[k, d]`` k-means centres of float ``points [n, d]``; the points themselves if k is n or more.

    Lloyd's algorithm from k-means++ seeds, or on large data mini-batches (Sculley 2010) from random points;
    `iterations` are passes over the points. On one thread, since the order in which several add up their
    parts is not fixed, and the same seed must give the same bytes.
    """
    if k >= len(points):
        return points
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    common = {"n_clusters": k, "n_init": 1, "max_iter": iterations, "random_state": seed}
    if len(points) * k <= LARGEST_LLOYD:
        model = KMeans(init="k-means++", **common)
    else:
        # No early stop and no reassignment: a centre that attracts nothing stays the image it started from.
        fixed = {"max_no_improvement": None, "reassignment_ratio": 0.0, "batch_size": MINI_BATCH}
        model = MiniBatchKMeans(init="random", **common, **fixed)
    with threadpool_limits(limits=1):
        centres = model.fit(points.cpu().numpy()).cluster_centers_
    return torch.from_numpy(centres).to(points)


# Parzen scores


@dataclass(frozen=True)
class ParzenScore:
    """Parzen's log-likelihood of each test point, float64 [n] nats, and the bandwidth that it took."""

    values: Tensor
    bandwidth: float
    valid_points: int

    @property
    def mean(self) -> float:
        """Mean over the test points, nats."""
        return float(self.values.mean())

    def records(self, context: Context, subject: str, seed: int | None = None) -> list[Record]:
        """The score and its bandwidth as rows."""
        error = standard_error(self.values)
        seconds, n = context.lap(), len(self.values)
        return [
            context.record(
                subject, "log_likelihood_parzen", self.mean, error,
                n=n, unit="nats", kind="heuristic", seed=seed, seconds=seconds,
            ),
            context.record(
                subject, "parzen_bandwidth", self.bandwidth,
                n=self.valid_points, unit="1", kind="heuristic", split="valid", seed=seed,
            ),
        ]  # fmt: skip


def parzen_score(
    context: Context,
    samples: Tensor | Callable[[], Iterable[Tensor]],
    valid: Tensor,
    test: Tensor,
    grid: Sequence[float],
) -> ParzenScore:
    """Score `test` by Parzen windows at the samples, the bandwidth chosen from `grid` on `valid`.

    `samples` are the samples, or a function that gives the same stream of chunks each time it is called.
    """
    choice = select_bandwidth(samples if isinstance(samples, Tensor) else samples(), valid, grid)
    if choice.at_edge and len(choice.grid) > 1:
        print(
            f"{context.control}: the best bandwidth {choice.bandwidth:.3g} is at the edge of the grid",
            file=sys.stderr,
        )
    again = samples if isinstance(samples, Tensor) else samples()
    values = parzen_log_likelihood(again, test, choice.bandwidth)
    return ParzenScore(values, choice.bandwidth, len(valid))


def standard_error(values: Tensor) -> float:
    """Standard error of the mean of ``values [n]``."""
    return float(values.std(correction=1)) / math.sqrt(len(values))


def exact_record(context: Context, subject: str, values: Tensor, seed: int | None = None) -> Record:
    """The row of an exact log-likelihood, from that of each test point (``[n]``, nats)."""
    return context.record(
        subject, "log_likelihood", float(values.mean()), standard_error(values),
        n=len(values), unit="nats", kind="exact", seed=seed, seconds=context.lap(),
    )  # fmt: skip
