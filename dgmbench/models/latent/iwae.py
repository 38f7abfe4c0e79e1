"""The importance-weighted auto-encoder, of one or two stochastic layers (Burda et al. 2016).

p(x, h) = p(x|h1) p(h1), or p(x|h1) p(h1|h2) p(h2) with two layers; q(h|x) = q(h1|x) q(h2|h1). Every factor is
a diagonal Gaussian whose mean and log-variance a network gives, but for p(x|h1), a Bernoulli product, and the
top prior N(0, I). With k draws of h from q and weights w_i = p(x, h_i) / q(h_i|x), the objective is

    L_k = E[log (1/k) sum_i w_i]     (eq. 8)

by reparameterisation. The derivative of log-sum-exp is the softmax, so that automatic differentiation gives
eq. 14, sum_i (w_i / sum_j w_j) grad log w_i. The objective `vae` is the average of k ELBOs, by whose side the
paper puts it; at k = 1 the two are one.

From the authors' code, not the paper: the output bias starts at the log-odds of the mean training image.
The networks see x as zeros and ones, weights start as Glorot & Bengio 2010 have it, biases at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import CapabilityError
from dgmbench.models.base import Model
from dgmbench.models.latent.decoding import bernoulli_scorer
from dgmbench.models.latent.multi_sample import LEAST_MEAN, log_mean_exp, start_as_glorot
from dgmbench.models.parts.bodies import BodySettings, MLPDecoder, build_decoder, build_encoder
from dgmbench.models.parts.densities import gaussian_log_prob, standard_normal_log_prob
from dgmbench.models.parts.mlp import mlp
from dgmbench.models.parts.observations import Bernoulli, full_precision
from dgmbench.terms import ViewName


class IWAESettings(BodySettings):
    """Sizes, and the objective; the defaults are the paper's network of one stochastic layer."""

    latent_dims: list[PositiveInt] = Field(
        [50], min_length=1, max_length=2, description="dimensions of h1, or of h1 (next to x) and h2"
    )
    upper_hidden: list[PositiveInt] = Field(
        [100, 100], description="two layers only: widths from h1 to h2; the way down mirrors them"
    )
    objective: Literal["iwae", "vae"] = Field("iwae", description="L_k, or the average of k ELBOs")
    samples: PositiveInt = Field(5, description="k, draws of the latents for each image")


class GaussianLayer(nn.Module):
    """A diagonal Gaussian given the layer before it.

    Args:
        body: the network up to the last hidden layer, of `width` features.
        width: see `body`.
        dim: dimensions of the Gaussian.
    """

    def __init__(self, body: nn.Module, width: int, dim: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, 2 * dim)

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, each ``[..., dim]``."""
        mean, log_variance = full_precision(self.head(self.body(given))).chunk(2, dim=-1)
        return mean, log_variance


class IWAE(Model):
    """Gaussian latents in one or two layers; z is h1, or (h1, h2) side by side."""

    Settings = IWAESettings
    views: ClassVar[tuple[ViewName, ...]] = ("binary",)

    output_offset: Tensor

    def __init__(self, settings: IWAESettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.objective, self.samples = settings.objective, settings.samples
        self.sizes = list(settings.latent_dims)
        self.latent_dim = sum(self.sizes)
        self.posterior = GaussianLayer(*build_encoder(settings, self.image_shape), self.sizes[0])
        self.decoder = build_decoder(settings, self.sizes[0], self.image_shape, 1)
        self.observation = Bernoulli(self.image_shape)
        if len(self.sizes) == 2:
            lower, upper = self.sizes
            up, down = [lower, *settings.upper_hidden], [upper, *reversed(settings.upper_hidden)]
            self.upper_posterior = GaussianLayer(MLPDecoder(*mlp(up, settings.activation)), up[-1], upper)
            self.upper_prior = GaussianLayer(MLPDecoder(*mlp(down, settings.activation)), down[-1], lower)
        # Added to the decoder's output, which is the same as where its bias starts, whatever the body.
        self.register_buffer("output_offset", torch.zeros(self.dims))
        start_as_glorot(self)

    def use_training_mean(self, mean: Tensor) -> None:
        """Start from the mean training image, ``[C, H, W]`` in [0, 1]; called once, before the first step."""
        self.output_offset.copy_(torch.logit(mean.flatten(), LEAST_MEAN))

    def log_weights(self, x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """``[k, n]`` values of log p(x, h) - log q(h|x) in nats, h drawn from q(h|x)."""
        return self._log_weights(self.posterior(x), partial(self._log_p_x, x), k, generator)

    @torch.no_grad()
    def log_weights_of(self, x: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        """`log_weights` of x as a function of k and the generator; what x alone decides is done once."""
        posterior = self.posterior(x)
        log_p_x = bernoulli_scorer(self.decoder, x.flatten(1), self.output_offset) or partial(
            self._log_p_x, x
        )

        @torch.no_grad()
        def log_weights(k: int, generator: torch.Generator) -> Tensor:
            return self._log_weights(posterior, log_p_x, k, generator)

        return log_weights

    def _log_weights(
        self,
        posterior: tuple[Tensor, Tensor],
        log_p_x: Callable[[Tensor], Tensor],
        k: int,
        generator: torch.Generator,
    ) -> Tensor:
        mean, log_variance = posterior
        h1, log_q = self._reparameterised((mean.expand(k, *mean.shape), log_variance), generator)
        log_w = log_p_x(h1) - log_q
        if len(self.sizes) == 1:
            return log_w + standard_normal_log_prob(h1)
        h2, log_q = self._reparameterised(self.upper_posterior(h1), generator)
        return log_w + self._log_prior(h1, h2) - log_q

    def _reparameterised(
        self, gaussian: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """A draw of N(mean, exp(log_variance)), differentiable in both, and its log-density."""
        mean, log_variance = gaussian
        noise = self._normal(mean.shape, generator)
        # The density in terms of the noise that made the draw: exact, without the cancellation in h - mean.
        log_density = -0.5 * (noise.square() + log_variance + math.log(2 * math.pi)).sum(-1)
        return mean + torch.exp(0.5 * log_variance) * noise, log_density

    def _log_p_x(self, x: Tensor, h1: Tensor) -> Tensor:
        return self.observation.log_prob(x, self._output(h1))

    def _output(self, h1: Tensor) -> Tensor:
        """Logits ``[..., C * H * W]`` of p(x|h1)."""
        return self.decoder(h1) + self.output_offset

    def _log_prior(self, h1: Tensor, h2: Tensor) -> Tensor:
        return gaussian_log_prob(h1, *self.upper_prior(h2)) + standard_normal_log_prob(h2)

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """The objective and both bounds by its k draws, negative, nats per image, means over the batch."""
        log_w = self.log_weights(batch.x, self.samples, generator)
        bounds = {"negative_elbo": -log_w.mean(), "negative_l_k": -log_mean_exp(log_w).mean()}
        loss = bounds["negative_l_k" if self.objective == "iwae" else "negative_elbo"]
        return {"loss": loss} | {name: bound.detach() for name, bound in bounds.items()}

    def encode(self, x: Tensor) -> Tensor:
        """Posterior means ``[n, latent_dim]``; with two layers those of h1, and of h2 given that mean.

        Both layers, so that `decode` makes a reconstruction of it and a probe sees all that is inferred.
        """
        mean = self.posterior(x)[0]
        return mean if len(self.sizes) == 1 else torch.cat([mean, self.upper_posterior(mean)[0]], -1)

    def gaussian_posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x) under the prior N(0, I), each ``[n, latent_dim]``.

        Raises:
            CapabilityError: with two layers, whose q(h1, h2|x) is no diagonal Gaussian.
        """
        if len(self.sizes) == 2:
            raise CapabilityError(
                "q(h1, h2|x) of two stochastic layers is no diagonal Gaussian; one layer's is"
            )
        return self.posterior(x)

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of p(z)."""
        top = self._normal((n, self.sizes[-1]), generator)
        if len(self.sizes) == 1:
            return top
        return torch.cat([self._reparameterised(self.upper_prior(top), generator)[0], top], -1)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, summed over the last axis of ``z [..., latent_dim]``."""
        if len(self.sizes) == 1:
            return standard_normal_log_prob(z)
        h1, h2 = z.split(self.sizes, -1)
        return self._log_prior(h1, h2)

    def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats for ``x [n, C, H, W]`` and ``z [..., n, latent_dim]``: ``[..., n]``."""
        return self._log_p_x(x, z[..., : self.sizes[0]])

    def decode(self, z: Tensor) -> Tensor:
        """Mean images of p(x|z), ``[n, C, H, W]``, for ``z [n, latent_dim]``."""
        return self.observation.mean(self._output(z[..., : self.sizes[0]]))

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x|z) for ``z [n, latent_dim]``."""
        return self.observation.sample(self._output(z[..., : self.sizes[0]]), generator)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x), zeros and ones."""
        return self.decoder_sample(self.prior_sample(n, generator), generator)

    def _normal(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        weight = self.posterior.head.weight
        return torch.randn(shape, generator=generator, device=weight.device, dtype=weight.dtype)
