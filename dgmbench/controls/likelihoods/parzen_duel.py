"""The truth and its rival under Parzen windows: points, scores by number of samples, and who is ahead."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dgmbench.controls.control import Context
from dgmbench.controls.instruments import ParzenScore, parzen_score, standard_error
from dgmbench.kernel_density import gaussian_kernel_log_density
from dgmbench.models.capabilities import CanSample
from dgmbench.results import Record
from dgmbench.statistics import Interval, mean_interval

# Samples drawn at once: a million of them never lie in memory together.
CHUNK = 10_000
TRUTH, RIVAL = "truth", "rival"


class Mixture:
    """Isotropic Gaussians of one width and equal weight at ``centres [k, C, H, W]``."""

    def __init__(self, centres: Tensor, width: float) -> None:
        self.centres, self.width = centres, width

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws."""
        device = self.centres.device
        rows = torch.randint(len(self.centres), (n,), generator=generator, device=device)
        shape = (n, *self.centres.shape[1:])
        noise = torch.randn(shape, generator=generator, device=device, dtype=self.centres.dtype)
        return self.centres[rows] + self.width * noise

    def log_prob(self, x: Tensor) -> Tensor:
        """``[n]`` nats of ``x [n, C, H, W]``."""
        return gaussian_kernel_log_density(self.centres, x, [self.width])[:, 0]


@dataclass(frozen=True)
class Points:
    """Draws of the truth that stand for data, and its log-likelihood of the test points (float64 [n])."""

    valid: Tensor
    test: Tensor
    log_prob: Tensor


class Scorer:
    """Parzen scores by model, number of samples and repetition, each made once; and their records."""

    def __init__(self, context: Context, models: dict[str, CanSample], points: Points, grid: list[float]):
        self.context, self.models, self.points, self.grid = context, models, points, grid
        self.scores: dict[tuple[str, int, int], ParzenScore] = {}
        self.records: list[Record] = []

    def score(self, name: str, size: int, repetition: int = 0) -> ParzenScore:
        """The score of model `name` from `size` of its samples."""
        key = name, size, repetition
        if key not in self.scores:
            stream = functools.partial(_stream, self.models[name], self.context, *key)
            found = parzen_score(self.context, stream, self.points.valid, self.points.test, self.grid)
            self.scores[key] = found
            seed = self.context.seed + repetition
            self.records += found.records(self.context, f"{name}_{size}", seed)
            if name == TRUTH:
                self.records.append(self._gap(f"{name}_{size}", found, seed))
        return self.scores[key]

    def _gap(self, subject: str, score: ParzenScore, seed: int) -> Record:
        """How far the estimate is from the truth on the same test points."""
        gap = score.values - self.points.log_prob
        return self.context.record(
            subject, "parzen_gap", float(gap.mean()), standard_error(gap),
            n=len(gap), unit="nats", kind="estimate", seed=seed,
        )  # fmt: skip


@dataclass(frozen=True)
class Duel:
    """Truth and rival: exact log-likelihoods ``[n]`` and Parzen scores ``[repetitions, n]``."""

    exact: dict[str, Tensor]
    parzen: dict[str, Tensor]

    @property
    def truly_behind(self) -> Interval:
        """Nats by which the rival's log-likelihood is below the truth's."""
        return mean_interval((self.exact[TRUTH] - self.exact[RIVAL])[None])

    @property
    def parzen_ahead(self) -> Interval:
        """Nats by which the rival's Parzen score is above the truth's."""
        return mean_interval(self.parzen[RIVAL] - self.parzen[TRUTH])


def _stream(model: CanSample, context: Context, name: str, size: int, repetition: int) -> Iterator[Tensor]:
    """`size` draws in chunks; the same ones each time, and not a part of those of a larger `size`."""
    generator = context.generator("samples", name, size, repetition)
    for start in range(0, size, CHUNK):
        yield model.sample(min(CHUNK, size - start), generator)
