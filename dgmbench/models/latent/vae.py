"""The variational auto-encoder (Kingma & Welling 2013).

q(z|x) is sampled by reparameterisation and comes, like p(z), from a choice of families; p(x|z) is Bernoulli
on binary images, and Gaussian or a discretised logistic on gray ones; both networks are MLPs or
convolutional. The objective is the ELBO: one Monte Carlo draw of log p(x|z) and the closed-form KL where
there is one (eq. 7 with L = 1; appendix B for the Gaussian), else that draw's log q(z|x) - log p(z) (eq. 6).

Training may weigh the KL by `beta` (Higgins et al. 2017) and raise that weight from 0 over the first steps
(Bowman et al. 2016); what validation and evaluation see is the ELBO itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import CapabilityError
from dgmbench.models.base import Model
from dgmbench.models.latent.decoding import bernoulli_scorer
from dgmbench.models.latent.latent_family import Parameters
from dgmbench.models.latent.posteriors import PosteriorSettings, build_family
from dgmbench.models.parts.bodies import BodySettings, build_decoder, build_encoder
from dgmbench.models.parts.observation_settings import ObservationSettings, is_density
from dgmbench.models.parts.observations import Bernoulli, build_observation, full_precision


class VAESettings(BodySettings, ObservationSettings, PosteriorSettings):
    """The two networks, both distributions, and the weight of the KL in training."""

    latent_dim: PositiveInt = Field(20, description="dimensions of z")
    beta: NonNegativeFloat = Field(1.0, description="weight of the KL in training; 1: the ELBO")
    kl_warmup_steps: NonNegativeInt = Field(
        0, description="training steps over which that weight rises from 0"
    )


class VAE(Model):
    """Encoder and decoder bodies around a family of latents and an observation model.

    z is a point of R^n for every family; see `latent_families` for what that means for Gamma, Beta and
    Dirichlet variables.
    """

    Settings = VAESettings
    steps: Tensor

    def __init__(self, settings: VAESettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.latent_dim = settings.latent_dim
        self.beta, self.kl_warmup_steps = settings.beta, settings.kl_warmup_steps
        self.observation = build_observation(settings, self.image_shape, self.levels)
        self.latents = build_family(settings, self.latent_dim)
        self.encoder, width = build_encoder(settings, self.image_shape)
        self.posterior_head = nn.Linear(width, self.latents.raw_width)
        self.decoder = build_decoder(
            settings, self.latents.natural_width, self.image_shape, self.observation.outputs_per_pixel
        )
        # In the state, so that a resumed training goes on at the same weight.
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @classmethod
    def takes_densities(cls, settings: Any) -> bool:
        """Whether the observation model is a density."""
        return is_density(settings)

    def posterior(self, x: Tensor) -> Parameters:
        """The parameters of q(z|x), as `self.latents` takes them."""
        scaled = self.observation.scaled(x).to(self.posterior_head.weight.dtype)
        return self.latents.constrain(full_precision(self.posterior_head(self.encoder(scaled))))

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of p(z)."""
        return self.latents.prior_sample(n, generator)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, summed over the last axis."""
        return self.latents.prior_log_prob(z)

    def outputs(self, z: Tensor) -> Tensor:
        """The decoder's raw outputs ``[..., outputs_per_pixel * C * H * W]``, for ``z [..., latent_dim]``."""
        return self.decoder(self.latents.decoder_input(z))

    def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats for ``x [n, C, H, W]`` and ``z [..., n, latent_dim]``: ``[..., n]``."""
        return self.observation.log_prob(x, self.outputs(z))

    def decode(self, z: Tensor) -> Tensor:
        """Mean images of p(x|z), ``[n, C, H, W]``, for ``z [n, latent_dim]``."""
        return self.observation.mean(self.outputs(z))

    def encode(self, x: Tensor) -> Tensor:
        """Means of q(z|x) (Cauchy: medians), ``[n, latent_dim]``."""
        return self.latents.location(self.posterior(x))

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative ELBO with its KL weighed, and its two parts unweighed, nats per image, batch means."""
        reconstruction, kl = self._elbo_terms(batch.x, generator)
        weight: float | Tensor = self.beta
        if self.training and self.kl_warmup_steps:
            weight = self.beta * (self.steps / self.kl_warmup_steps).clamp(max=1.0)
        if self.training:
            self.steps += 1
        return {"loss": weight * kl - reconstruction, "reconstruction": -reconstruction, "kl": kl}

    def validation_losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative ELBO and its two parts, nats per image, whatever the weight of the KL in training."""
        reconstruction, kl = self._elbo_terms(batch.x, generator)
        return {"loss": kl - reconstruction, "reconstruction": -reconstruction, "kl": kl}

    def _elbo_terms(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Batch means of log p(x|z) and of the KL, from one draw of z."""
        parameters = self.posterior(x)
        kl = self.latents.kl(parameters)
        if kl is not None:
            z = self.latents.rsample(parameters, (), generator)
            return self.decoder_log_prob(x, z).mean(), kl.sum(-1).mean()
        z, log_posterior = self.latents.rsample_with_log_prob(parameters, (), generator)
        return self.decoder_log_prob(x, z).mean(), (log_posterior - self.prior_log_prob(z)).mean()

    def kl_per_dimension(self, x: Tensor) -> Tensor:
        """What each dimension of z adds to KL(q(z|x) || p(z)), nats, ``[n, latent_dim]``.

        Raises:
            CapabilityError: for a family whose KL has no closed form.
        """
        kl = self.latents.kl(self.posterior(x))
        if kl is None:
            name = type(self.latents).__name__
            raise CapabilityError(f"the KL of {name} has no closed form; log_weights estimates it as a whole")
        return kl

    def log_weights(self, x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """``[k, n]`` values of log p(x, z) - log q(z|x) in nats, z drawn from q(z|x)."""
        z, log_posterior = self.latents.rsample_with_log_prob(self.posterior(x), (k,), generator)
        return self.decoder_log_prob(x, z) + self.prior_log_prob(z) - log_posterior

    @torch.no_grad()
    def log_weights_of(self, x: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        """`log_weights` of x as a function of k and the generator; what x alone decides is done once."""
        posterior = self.posterior(x)
        score = (
            bernoulli_scorer(self.decoder, x.flatten(1)) if isinstance(self.observation, Bernoulli) else None
        )

        def log_prob(z: Tensor) -> Tensor:
            return self.decoder_log_prob(x, z) if score is None else score(self.latents.decoder_input(z))

        @torch.no_grad()
        def log_weights(k: int, generator: torch.Generator) -> Tensor:
            z, log_posterior = self.latents.rsample_with_log_prob(posterior, (k,), generator)
            return log_prob(z) + self.prior_log_prob(z) - log_posterior

        return log_weights

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x), the observation noise included; Gaussian ones may leave [0, 1]."""
        return self.decoder_sample(self.prior_sample(n, generator), generator)

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x|z) for ``z [n, latent_dim]``."""
        return self.observation.sample(self.outputs(z), generator)
