"""The variational auto-encoder with a Gaussian posterior (Kingma & Welling 2013).

q(z|x) is a diagonal Gaussian sampled by reparameterisation, p(z) = N(0, I), and p(x|z) is Bernoulli on
binary images or Gaussian with learned variance on dequantised gray ones. The objective is the ELBO of
eq. 10: one Monte Carlo draw of log p(x|z) and the closed-form KL of appendix B.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from dgmbench.models.base import (
    Activation,
    GenerativeModel,
    ModelSettings,
    gaussian_log_prob,
    mlp,
    standard_normal_log_prob,
)
from dgmbench.models.decoding import bernoulli_log_prob_, decoder_logits


class VAESettings(ModelSettings):
    """Sizes of the two networks and, on gray images, the form of the observation model."""

    latent_dim: PositiveInt = Field(20, description="dimensions of z")
    hidden: list[PositiveInt] = Field([200, 200], description="encoder widths; the decoder mirrors them")
    activation: Activation = "tanh"
    variance: Literal["network", "pixel", "shared"] = Field(
        "network", description="gray only: variances from the decoder, one per pixel, or a single one"
    )
    least_deviation: NonNegativeFloat = Field(
        0.0, description="gray only: the learned standard deviations' floor, in pixel units"
    )
    mean: Literal["sigmoid", "identity"] = Field("sigmoid", description="gray only: the decoder's mean")


class VAE(GenerativeModel):
    """MLP encoder and decoder with a diagonal-Gaussian posterior."""

    Settings = VAESettings

    def __init__(self, settings: VAESettings, image_shape: tuple[int, int, int], levels: int) -> None:
        super().__init__(settings, image_shape, levels)
        self.latent_dim = settings.latent_dim
        self.variance, self.mean_activation = settings.variance, settings.mean
        sizes = [self.dims, *settings.hidden]
        self.encoder = mlp(sizes, settings.activation)
        self.posterior_head = nn.Linear(sizes[-1], 2 * self.latent_dim)
        sizes = [self.latent_dim, *reversed(settings.hidden)]
        self.decoder = mlp(sizes, settings.activation)
        two_heads = self.view == "gray" and settings.variance == "network"
        self.output_head = nn.Linear(sizes[-1], 2 * self.dims if two_heads else self.dims)
        # Dequantisation noise alone has a variance of 1 / (12 L^2): no honest pixel variance is less.
        floor = max(settings.least_deviation**2, 1 / (12 * levels**2))
        self.least_log_variance = math.log(floor)
        if self.view == "gray" and settings.variance != "network":
            self.raw_log_variance = nn.Parameter(
                torch.zeros(self.dims if settings.variance == "pixel" else 1)
            )

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each ``[n, latent_dim]``."""
        hidden = self.encoder(2 * x.flatten(1) - 1)
        mean, log_variance = _full(self.posterior_head(hidden)).chunk(2, dim=-1)
        return mean, log_variance

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of N(0, I)."""
        return self._normal((n, self.latent_dim), generator)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log N(z; 0, I) in nats, summed over the last axis."""
        return standard_normal_log_prob(z)

    def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats for ``x [n, C, H, W]`` and ``z [..., n, latent_dim]``: ``[..., n]``."""
        flat = x.flatten(1)
        if self.view == "binary":
            return bernoulli_log_prob_(flat, decoder_logits(self.decoder, self.output_head, z))
        mean, log_variance = self._gaussian(z)
        return gaussian_log_prob(flat, mean, log_variance)

    def _gaussian(self, z: Tensor) -> tuple[Tensor, Tensor]:
        output = _full(self.output_head(self.decoder(z)))
        mean, raw = output.chunk(2, dim=-1) if self.variance == "network" else (output, self.raw_log_variance)
        if self.mean_activation == "sigmoid":
            mean = torch.sigmoid(mean)
        return mean, self.least_log_variance + F.softplus(raw - self.least_log_variance)

    def decode(self, z: Tensor) -> Tensor:
        """Mean images of p(x|z), ``[n, C, H, W]``, for ``z [n, latent_dim]``."""
        mean = (
            torch.sigmoid(self.output_head(self.decoder(z)))
            if self.view == "binary"
            else self._gaussian(z)[0]
        )
        return mean.reshape(-1, *self.image_shape)

    def encode(self, x: Tensor) -> Tensor:
        """Posterior means, ``[n, latent_dim]``."""
        return self.posterior(x)[0]

    def step(self, x: Tensor, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative ELBO and its two parts, nats per image, means over the batch (eq. 10 with L = 1)."""
        mean, log_variance = self.posterior(x)
        z = mean + torch.exp(0.5 * log_variance) * self._normal(mean.shape, generator)
        reconstruction = self.decoder_log_prob(x, z).mean()
        kl = kl_to_standard_normal(mean, log_variance).mean()
        return {"loss": kl - reconstruction, "reconstruction": -reconstruction, "kl": kl}

    def log_weights(self, x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """``[k, n]`` values of log p(x, z) - log q(z|x) in nats, z drawn from q(z|x)."""
        mean, log_variance = self.posterior(x)
        noise = self._normal((k, *mean.shape), generator)
        z = mean + torch.exp(0.5 * log_variance) * noise
        # log q(z|x) in terms of the noise that made z: exact, and free of the cancellation in z - mean.
        log_posterior = -0.5 * (noise.square() + log_variance + math.log(2 * math.pi)).sum(-1)
        return self.decoder_log_prob(x, z) + self.prior_log_prob(z) - log_posterior

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x), the observation noise included; gray ones may leave [0, 1]."""
        return self.decoder_sample(self.prior_sample(n, generator), generator)

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x|z) for ``z [n, latent_dim]``."""
        if self.view == "binary":
            means = self.decode(z)
            uniform = torch.rand(means.shape, generator=generator, device=means.device)
            return (uniform < means).to(means.dtype)
        mean, log_variance = self._gaussian(z)
        draws = mean + torch.exp(0.5 * log_variance) * self._normal(mean.shape, generator)
        return draws.reshape(-1, *self.image_shape)

    def _normal(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        weight = self.output_head.weight
        return torch.randn(shape, generator=generator, device=weight.device, dtype=weight.dtype)


def _full(output: Tensor) -> Tensor:
    """A layer's output in float32 where autocast made it shorter: log-densities need the digits."""
    return output.float() if output.dtype in (torch.bfloat16, torch.float16) else output


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)) in nats, summed over the last axis (appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)
