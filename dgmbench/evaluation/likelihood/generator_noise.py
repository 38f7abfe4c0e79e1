"""Gaussian noise that gives a generator a density, its variance chosen on validation images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dgmbench.data.views import BinaryView
from dgmbench.errors import CapabilityError
from dgmbench.evaluation.likelihood.annealing import annealed_log_likelihood
from dgmbench.evaluation.likelihood.annealing_path import Annealing
from dgmbench.models.capabilities import CanDecode


@dataclass(frozen=True)
class VarianceChoice:
    """The observation variance with the best annealed score on validation images.

    grid: the variances that were tried, ascending; scores: their means over the images, nats. at_edge: the
    best is the smallest or largest that could be chosen, so that a better one may lie outside.
    """

    variance: float
    grid: tuple[float, ...]
    scores: tuple[float, ...]
    at_edge: bool


class GaussianObservation:
    """A generator as a density: p(x|z) = N(x; G(z), variance I), as Wu et al. 2017 treat GANs."""

    def __init__(self, generator: CanDecode, variance: float) -> None:
        if not (variance > 0 and math.isfinite(variance)):
            raise CapabilityError(f"the variance of an observation model is positive, not {variance}")
        if isinstance(getattr(generator, "view", None), BinaryView):
            raise CapabilityError(
                f"{type(generator).__name__} models binary images, and a density on [0,1]^d is no probability"
                " of theirs; annealing its own Bernoulli decoder, or importance sampling, works instead"
            )
        self.generator, self.variance = generator, variance
        self.latent_dim = generator.latent_dim

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of the generator's prior."""
        return self.generator.prior_sample(n, generator)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log p(z) of the generator's prior, nats."""
        return self.generator.prior_log_prob(z)

    def decode(self, z: Tensor) -> Tensor:
        """G(z)."""
        return self.generator.decode(z)

    def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log N(x; G(z), variance I), nats, ``[..., n]`` for ``x [n, C, H, W]``, ``z [..., n, latent]``."""
        means = self.decode(z.reshape(-1, z.shape[-1])).reshape(*z.shape[:-1], -1)
        squares = (x.flatten(1) - means).square().sum(-1)
        return -0.5 * (squares / self.variance + means.shape[-1] * math.log(2 * math.pi * self.variance))

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x|z)."""
        means = self.decode(z)
        noise = torch.randn(means.shape, generator=generator, device=means.device, dtype=means.dtype)
        return means + math.sqrt(self.variance) * noise


def select_variance(
    generator: CanDecode,
    valid: Tensor,
    grid: Sequence[float],
    settings: Annealing,
    seed: int = 0,
    progress: bool | None = None,
) -> VarianceChoice:
    """The observation variance with the highest annealed log-likelihood of validation images.

    The score has one maximum in the variance, so the grid is climbed from its middle. Around the best point,
    the middles to its neighbours (in log variance) are tried, and then the top of the parabola through the
    best three. All variances see the same noise.

    Raises CapabilityError if the grid is empty or the generator has no prior or decoder.
    """
    if len(grid) == 0:
        raise CapabilityError("the grid of variances is empty; np.logspace(-3, 0, 7) covers pixels in [0, 1]")
    scores: dict[float, float] = {}

    def score(log_variance: float) -> float:
        if log_variance not in scores:
            observed = GaussianObservation(generator, math.exp(log_variance))
            found = annealed_log_likelihood(observed, valid, settings, seed, progress=progress)
            scores[log_variance] = found.estimates.mean()
        return scores[log_variance]

    ordered = sorted({math.log(variance) for variance in grid})
    best = len(ordered) // 2
    while True:
        around = range(max(best - 1, 0), min(best + 2, len(ordered)))
        better = max(around, key=lambda i: score(ordered[i]))
        if score(ordered[better]) <= score(ordered[best]):
            break
        best = better
    for i in around:
        score((ordered[best] + ordered[i]) / 2)
    score(_top(scores))
    tried = sorted(scores)
    found = max(tried, key=scores.__getitem__)
    return VarianceChoice(
        math.exp(found),
        tuple(math.exp(each) for each in tried),
        tuple(scores[each] for each in tried),
        found in (ordered[0], ordered[-1]),
    )


def _top(scores: dict[float, float]) -> float:
    """Where the parabola through the highest score and its neighbours has its top; the highest at an end."""
    tried = sorted(scores)
    best = tried.index(max(tried, key=scores.__getitem__))
    if best in (0, len(tried) - 1):
        return tried[best]
    (x0, y0), (x1, y1), (x2, y2) = ((tried[i], scores[tried[i]]) for i in (best - 1, best, best + 1))
    left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    if not left > right:
        return x1
    return (x0 + x1) / 2 + left * (x2 - x0) / 2 / (left - right)
