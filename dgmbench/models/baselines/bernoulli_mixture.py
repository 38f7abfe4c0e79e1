"""A mixture of Bernoulli products, fitted by EM (Bishop 2006, section 9.3.3).

p(x) = sum_k w_k prod_j p_kj^x_j (1 - p_kj)^(1 - x_j). Every component is given `a` images of the average
kind before it sees any data: a Dirichlet(1 + a) prior on the weights, and Beta(1 + a m_j, 1 + a (1 - m_j)) on
p_kj, where m_j is how often pixel j is on over all components. (Bishop's maximum likelihood is a = 0, which
gives no probability to an image with a pixel on that its component never saw.) EM raises the likelihood
times the prior at every step.

The start: short runs from several k-means++ seeds, the best of which is run to convergence (the "em-EM" of
Biernacki, Celeux & Govaert 2003).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Never

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor
from tqdm import tqdm

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import SettingsError
from dgmbench.models.base import Model, ModelSettings
from dgmbench.terms import ViewName

# Images that pass through the E-step at once, and images among which k-means++ looks for its seeds: one
# pass over them for every component, so all of a large training set would take longer than EM.
BATCH, SEED_POOL = 4096, 10_000


class BernoulliMixtureSettings(ModelSettings):
    """The candidates that validation chooses among, and EM's budget."""

    components: list[PositiveInt] = Field(min_length=1, description="candidates for K")
    pseudo_counts: list[PositiveFloat] = Field(
        [1.0], min_length=1, description="candidates for a, average images added to every component"
    )
    restarts: PositiveInt = Field(3, description="short runs, of which the best is continued")
    short_iterations: PositiveInt = Field(10, description="of EM, in a short run")
    max_iterations: PositiveInt = Field(200, description="of EM, in the run that is continued")
    tolerance: PositiveFloat = Field(1e-3, description="EM ends at a gain below this, nats per image")


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


class BernoulliMixture(Model):
    """A mixture of Bernoulli products; parameters in float64, fitted by `fit`."""

    Settings = BernoulliMixtureSettings
    views: ClassVar[tuple[ViewName, ...]] = ("binary",)

    log_proportions: Tensor
    logits: Tensor
    components: Tensor

    def __init__(self, settings: BernoulliMixtureSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.settings = settings
        self.candidates = list(itertools.product(sorted(settings.components), sorted(settings.pseudo_counts)))
        largest = max(settings.components)
        # Rows beyond `components` are not used, so that no shape depends on what validation chose.
        self.register_buffer("log_proportions", torch.full((largest,), -math.inf, dtype=torch.float64))
        self.register_buffer("logits", torch.zeros(largest, self.dims, dtype=torch.float64))
        self.register_buffer("components", torch.zeros((), dtype=torch.int64))

    def parameter_count(self) -> int:
        """K - 1 weights and K d probabilities."""
        k = int(self.components)
        return k - 1 + k * self.dims

    def fit(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Run EM for every candidate on ``train [n, C, H, W]``; keep the best likelihood of `valid`.

        Every candidate starts from the same seed, so that its fit does not depend on the others.

        Raises:
            SettingsError: if there are fewer images than components.
        """
        images = train.x.flatten(1).to(torch.uint8)
        if max(self.settings.components) > len(images):
            raise SettingsError(f"components: there are only {len(images)} training images to share out")
        seed = int(torch.randint(2**31 - 1, (), generator=generator, device=generator.device))
        best: dict[str, float] = {"loss": math.inf}
        kept: Mixture | None = None
        with self._bar() as bar:
            for k, strength in self.candidates:
                again = torch.Generator(images.device).manual_seed(seed)
                mixture, history = self._search(images, k, strength, again, bar.update)
                self._keep(mixture)
                loss = -float(self.log_prob(valid.x).mean())
                if kept is None or loss < best["loss"]:
                    kept = mixture
                    best = {
                        "loss": loss,
                        "components": k,
                        "pseudo_count": strength,
                        "iterations": len(history),
                    }
        assert kept is not None
        self._keep(kept)
        return best

    def _bar(self) -> tqdm[Never]:
        settings = self.settings
        each = settings.restarts * settings.short_iterations + settings.max_iterations
        total = len(self.candidates) * each
        return tqdm(total=total, desc="EM", unit="step", delay=2.0, disable=None, leave=False)

    def _search(
        self, x: Tensor, k: int, strength: float, generator: torch.Generator, tick: Callable[[], object]
    ) -> tuple[Mixture, list[float]]:
        """Several short runs, then a long one from the best of them."""
        settings, prior = self.settings, Prior(strength, marginal(x))
        runs = []
        for _ in range(settings.restarts):
            start = maximise(assign(x, spread_seeds(x, k, generator)), prior)
            runs.append(run_em(x, start, prior, settings.short_iterations, settings.tolerance, tick))
        best, _ = max(runs, key=lambda run: run[1][-1])
        return run_em(x, best, prior, settings.max_iterations, settings.tolerance, tick)

    def _keep(self, mixture: Mixture) -> None:
        k = len(mixture.log_proportions)
        self.log_proportions.fill_(-math.inf)
        self.log_proportions[:k] = mixture.log_proportions
        self.logits[:k] = mixture.logits
        self.components.fill_(k)

    def mixture(self) -> Mixture:
        """The parameters in use."""
        k = int(self.components)
        return Mixture(self.log_proportions[:k], self.logits[:k])

    def log_prob(self, x: Tensor) -> Tensor:
        """log P of the binary images ``x [n, C, H, W]`` in nats, ``[n]`` float64."""
        return torch.logsumexp(self.mixture().log_joint(x.flatten(1).double()), 1)

    def encode(self, x: Tensor) -> Tensor:
        """Responsibilities of the components, ``[n, K]`` float64."""
        return torch.softmax(self.mixture().log_joint(x.flatten(1).double()), 1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` float32 draws of zeros and ones."""
        mixture = self.mixture()
        chosen = torch.multinomial(mixture.log_proportions.exp(), n, replacement=True, generator=generator)
        probabilities = torch.sigmoid(mixture.logits)[chosen]
        uniform = torch.rand(
            probabilities.shape, generator=generator, device=probabilities.device, dtype=torch.float64
        )
        return (uniform < probabilities).float().reshape(n, *self.image_shape)


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
