"""A mixture of Bernoulli products, fitted by EM (`bernoulli_em`); K and the prior are chosen on valid.

The start: short runs from several k-means++ seeds, the best of which is run to convergence (the "em-EM" of
Biernacki, Celeux & Govaert 2003).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import ClassVar, Never

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor
from tqdm import tqdm

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import SettingsError
from dgmbench.models.base import Model, ModelSettings
from dgmbench.models.baselines.bernoulli_em import (
    Mixture,
    Prior,
    assign,
    marginal,
    maximise,
    run_em,
    spread_seeds,
)
from dgmbench.terms import ViewName


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
        return self.decoder_sample(self.prior_sample(n, generator), generator)

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n]`` components, int64, drawn by their proportions."""
        proportions = self.mixture().log_proportions.exp()
        return torch.multinomial(proportions, n, replacement=True, generator=generator)

    def decode(self, z: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` of the components ``z [n]``, float64 in [0, 1]."""
        return torch.sigmoid(self.mixture().logits[z]).reshape(-1, *self.image_shape)

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` float32 draws of the components ``z [n]``, zeros and ones."""
        means = self.decode(z)
        uniform = torch.rand(means.shape, generator=generator, device=means.device, dtype=torch.float64)
        return (uniform < means).float()
