"""EM for a mixture of Bernoulli products (Bishop 2006, section 9.3.3), and its start by k-means++.

p(x) = sum_k w_k prod_j p_kj^x_j (1 - p_kj)^(1 - x_j). Every component is given `a` images of the average
kind before it sees any data: a Dirichlet(1 + a) prior on the weights, and Beta(1 + a m_j, 1 + a (1 - m_j)) on
p_kj, where m_j is how often pixel j is on over all components. (Bishop's maximum likelihood is a = 0, which
gives no probability to an image with a pixel on that its component never saw.) EM raises the likelihood
times the prior at every step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Images that pass through the E-step at once, and images among which k-means++ looks for its seeds: one
# pass over them for every component, so all of a large training set would take longer than EM.
BATCH, SEED_POOL = 4096, 10_000


@dataclass(frozen=True)
class Mixture:
    """Parameters: log_proportions ``[K]`` and logits of the p_kj ``[K, d]``, float64."""

    log_proportions: Tensor
    logits: Tensor

    def log_joint(self, x: Tensor) -> Tensor:
        """log w_k + log p(x|k) ``[n, K]`` for float64 ``x [n, d]``."""
        return x @ self.logits.T + (F.logsigmoid(-self.logits).sum(1) + self.log_proportions)


@dataclass(frozen=True)
class Prior:
    """`strength` (a) average images for each component; `marginal` (m) ``[d]`` is the average image."""

    strength: float
    marginal: Tensor

    def log_density(self, mixture: Mixture) -> Tensor:
        """log of the prior density at `mixture`, nats up to a constant."""
        on = F.logsigmoid(mixture.logits) @ self.marginal
        off = F.logsigmoid(-mixture.logits) @ (1 - self.marginal)
        return self.strength * (mixture.log_proportions + on + off).sum()


@dataclass(frozen=True)
class Statistics:
    """What the M-step needs: images ``[K]`` of each component, and how many have each pixel on ``[K, d]``."""

    images: Tensor
    on: Tensor


def marginal(x: Tensor) -> Tensor:
    """How often each pixel of uint8 ``x [n, d]`` is on, ``[d]``; half an image of each kind added."""
    return (x.sum(0).double() + 0.5) / (len(x) + 1)


def spread_seeds(x: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """K images far apart, uint8 ``[K, d]``: k-means++ (Arthur & Vassilvitskii 2007) among `SEED_POOL`.

    Each next one is drawn with a probability in proportion to its squared distance (on binary images, the
    pixels in which it differs) from the nearest so far.
    """
    pool = x[torch.randperm(len(x), generator=generator, device=x.device)[: max(SEED_POOL, k)]]
    chosen, floats = [0], pool.float()
    nearest = torch.full((len(pool),), math.inf, device=x.device)
    while len(chosen) < k:
        nearest = torch.minimum(nearest, (floats - floats[chosen[-1]]).abs_().sum(1))
        # A little for all, in case there are fewer different images than seeds.
        chosen.append(int(torch.multinomial(nearest + 1e-6, 1, generator=generator)))
    return pool[chosen]


def assign(x: Tensor, centres: Tensor) -> Statistics:
    """Statistics of giving each image, uint8 ``[n, d]``, to the nearest of ``centres [K, d]`` alone."""
    centred = 2 * centres.double() - 1
    lengths = centres.sum(1).double()
    images, on = torch.zeros_like(lengths), torch.zeros_like(centred)
    for part in x.split(BATCH):
        rows = part.double()
        # |x - c|^2 = |x|^2 + |c| - 2 x.c; the first term is the same for all c, and 2 x.c = x.(2c - 1) + |x|.
        own = F.one_hot((lengths - rows @ centred.T).argmin(1), len(centres)).double()
        images += own.sum(0)
        on += own.T @ rows
    return Statistics(images, on)


def expect(x: Tensor, mixture: Mixture) -> tuple[Statistics, float]:
    """The E-step (Bishop's eq. 9.56) on uint8 ``x [n, d]``: statistics, and the log-likelihood in nats."""
    images, on = torch.zeros_like(mixture.log_proportions), torch.zeros_like(mixture.logits)
    total = 0.0
    for part in x.split(BATCH):
        rows = part.double()
        joint = mixture.log_joint(rows)
        evidence = torch.logsumexp(joint, 1, keepdim=True)
        responsibilities = joint.sub_(evidence).exp_()
        images += responsibilities.sum(0)
        on += responsibilities.T @ rows
        total += float(evidence.sum())
    return Statistics(images, on), total


def maximise(statistics: Statistics, prior: Prior) -> Mixture:
    """The M-step: eqs. 9.59 and 9.60 with the prior's images counted in."""
    images = statistics.images + prior.strength
    on = statistics.on + prior.strength * prior.marginal
    # Off is not images - on: that would round the smallest probabilities of being off to zero.
    missing = (statistics.images[:, None] - statistics.on).clamp_min(0.0)
    off = missing + prior.strength * (1 - prior.marginal)
    return Mixture((images / images.sum()).log(), on.log() - off.log())


def run_em(
    x: Tensor,
    start: Mixture,
    prior: Prior,
    iterations: int,
    tolerance: float,
    tick: Callable[[], object] = lambda: None,
) -> tuple[Mixture, list[float]]:
    """EM on uint8 ``x [n, d]`` until a step gains less than `tolerance`, `iterations` steps at most.

    Returns the mixture and the objective at each step's start: log likelihood plus log prior, nats per image.
    """
    mixture, history = start, []
    for _ in range(iterations):
        statistics, log_likelihood = expect(x, mixture)
        history.append((log_likelihood + float(prior.log_density(mixture))) / len(x))
        mixture = maximise(statistics, prior)
        tick()
        if len(history) > 1 and history[-1] - history[-2] < tolerance:
            break
    return mixture, history
