"""The class-conditional variational auto-encoder p(x|z, y) p(z), with q(z|x, y).

It is the M2 model of Kingma, Mohamed, Rezende & Welling 2014 (section 2) where every label is known, and the
conditional VAE of Sohn, Lee & Yan 2015 (eq. 4) with a prior that does not depend on the condition. The class
enters encoder and decoder as a one-hot vector beside what they read.

Training maximises the ELBO of log p(x|y), with the closed-form KL (Kingma & Welling 2013, eq. 10). Held-out
images are scored without their labels, so that the numbers compare with those of other models:
p(x) = mean over y of p(x|y), with p(y) uniform. `log_weights` averages one weight per class, which is an
unbiased estimate of p(x), so its log is a bound in expectation as any importance-sampled one is. K draws are
K of every class, and K = 1 is no ELBO: none is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import SettingsError
from dgmbench.models.base import Model, Supervision
from dgmbench.models.latent.decoding import bernoulli_scorer
from dgmbench.models.parts.bodies import BodySettings, build_decoder, build_encoder
from dgmbench.models.parts.densities import gaussian_log_prob, standard_normal_log_prob
from dgmbench.models.parts.observation_settings import ObservationSettings, is_density
from dgmbench.models.parts.observations import Bernoulli, build_observation, full_precision

Score = Callable[[Tensor], Tensor]


class ConditionalVAESettings(BodySettings, ObservationSettings):
    """The two networks and the observation model."""

    latent_dim: PositiveInt = Field(20, description="dimensions of z")


class ConditionalVAE(Model):
    """Encoder and decoder that read the class too; z has the prior N(0, I) in every class."""

    Settings = ConditionalVAESettings
    supervision: ClassVar[Supervision] = "condition"

    def __init__(self, settings: ConditionalVAESettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        if schema.classes is None:
            raise SettingsError("a class-conditional VAE needs a data set with labels")
        self.classes, self.latent_dim = schema.classes, settings.latent_dim
        self.observation = build_observation(settings, self.image_shape, self.levels)
        self.encoder, width = build_encoder(settings, self.image_shape)
        self.posterior_head = nn.Linear(width + self.classes, 2 * self.latent_dim)
        self.decoder = build_decoder(
            settings, self.latent_dim + self.classes, self.image_shape, self.observation.outputs_per_pixel
        )

    @classmethod
    def takes_densities(cls, settings: Any) -> bool:
        """Whether the observation model is a density."""
        return is_density(settings)

    def _one_hot(self, y: Tensor) -> Tensor:
        return F.one_hot(y, self.classes).to(self.posterior_head.weight.dtype)

    def _features(self, x: Tensor) -> Tensor:
        return self.encoder(self.observation.scaled(x).to(self.posterior_head.weight.dtype))

    def _posterior(self, features: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        raw = full_precision(self.posterior_head(torch.cat([features, self._one_hot(y)], -1)))
        mean, log_variance = raw.chunk(2, -1)
        return mean, log_variance

    def _decoder_input(self, z: Tensor, y: Tensor) -> Tensor:
        one_hot = self._one_hot(y).expand(*z.shape[:-1], self.classes)
        return torch.cat([z.to(one_hot.dtype), one_hot], -1)

    def decoder_outputs(self, z: Tensor, y: Tensor) -> Tensor:
        """The decoder's raw outputs for ``z [..., n, latent_dim]`` and classes ``y [n]``."""
        return self.decoder(self._decoder_input(z, y))

    @property
    def style_dim(self) -> int:
        """Dimensions of z."""
        return self.latent_dim

    def style(self, x: Tensor, y: Tensor) -> Tensor:
        """Means of q(z|x, y), ``[n, style_dim]``, for classes ``y [n]``."""
        return self._posterior(self._features(x), y)[0]

    def decode_given(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` of p(x|z, y) for ``z [n, style_dim]`` and classes ``y [n]``."""
        return self.observation.mean(self.decoder_outputs(z, y))

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative ELBO of log p(x|y) and its two parts, nats per image, batch means.

        Raises:
            ValueError: for a batch without conditions.
        """
        if batch.condition is None:
            raise ValueError("a class-conditional VAE trains on images with their classes as condition")
        mean, log_variance = self._posterior(self._features(batch.x), batch.condition)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1).mean()
        z = self._draw(mean, log_variance, (), generator)
        outputs = self.decoder_outputs(z, batch.condition)
        reconstruction = self.observation.log_prob(batch.x, outputs).mean()
        return {"loss": kl - reconstruction, "reconstruction": -reconstruction, "kl": kl}

    def _draw(
        self, mean: Tensor, log_variance: Tensor, leading: tuple[int, ...], generator: torch.Generator
    ) -> Tensor:
        shape = (*leading, *mean.shape)
        noise = torch.randn(shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + torch.exp(0.5 * log_variance) * noise

    def log_weights(self, x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """``[k, n]`` logs in nats of unbiased estimates of p(x): the mean over y of p(x, z|y) / q(z|x, y)."""
        return self._marginal(x, self._features(x), self._scorer(x), k, generator)

    @torch.no_grad()
    def log_weights_of(self, x: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        """`log_weights` of x as a function of k and the generator; what x alone decides is done once."""
        features, score = self._features(x), self._scorer(x, prepared=True)

        @torch.no_grad()
        def log_weights(k: int, generator: torch.Generator) -> Tensor:
            return self._marginal(x, features, score, k, generator)

        return log_weights

    def log_weights_given(self, x: Tensor, y: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """``[k, n]`` values of log p(x, z|y) - log q(z|x, y) in nats for classes ``y [n]``."""
        return self._given(self._features(x), y, self._scorer(x), k, generator)

    def _scorer(self, x: Tensor, prepared: bool = False) -> Score:
        """log p(x|z, y) as a function of the decoder's input ``[k, n, latent_dim + classes]``."""
        fast = None
        if prepared and isinstance(self.observation, Bernoulli):
            fast = bernoulli_scorer(self.decoder, x.flatten(1))
        return fast or (lambda read: self.observation.log_prob(x, self.decoder(read)))

    def _marginal(
        self, x: Tensor, features: Tensor, score: Score, k: int, generator: torch.Generator
    ) -> Tensor:
        classes = [torch.full((len(x),), y, device=x.device) for y in range(self.classes)]
        each = [self._given(features, y, score, k, generator) for y in classes]
        return torch.logsumexp(torch.stack(each), 0) - math.log(self.classes)

    def _given(self, features: Tensor, y: Tensor, score: Score, k: int, generator: torch.Generator) -> Tensor:
        mean, log_variance = self._posterior(features, y)
        z = self._draw(mean, log_variance, (k,), generator)
        log_x = score(self._decoder_input(z, y))
        return log_x + standard_normal_log_prob(z) - gaussian_log_prob(z, mean, log_variance)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x), each of a class drawn uniformly."""
        device = self.posterior_head.weight.device
        return self.sample_given(
            torch.randint(self.classes, (n,), generator=generator, device=device), generator
        )

    def sample_given(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x|y) for classes ``condition [n]``, int64."""
        return self.decoder_sample_given(self.prior_sample(len(condition), generator), condition, generator)

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of p(z)."""
        weight, shape = self.posterior_head.weight, (n, self.latent_dim)
        return torch.randn(shape, generator=generator, device=weight.device, dtype=weight.dtype)

    def decoder_sample_given(self, z: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x|z, y) for ``z [n, latent_dim]`` and classes ``y [n]``."""
        return self.observation.sample(self.decoder_outputs(z, y), generator)
