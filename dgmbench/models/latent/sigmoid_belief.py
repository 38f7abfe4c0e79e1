"""Auto-encoders with Bernoulli latents (sigmoid belief nets), trained by one of four gradient estimators.

p(x, h) = p(x|h1) p(h1|h2) p(h2) with a learned prior on top, and q(h|x) = q(h1|x) q(h2|h1), all of them
products of Bernoullis. Structures, as in table 2a of Yin & Zhou 2019: `linear` (x-200, no hidden layer),
`nonlinear` (x-body-200) and `two_layers` (x-200-200, linear in between). The ELBO is trained by `reinforce`
or `nvil`, and L_k by `vimco`, all free of bias: see
`dgmbench.models.latent.discrete_gradients`. Fourth, `concrete` relaxes the latents to
sigmoid((logits + logistic noise) / temperature) and differentiates through them (Maddison et al. 2017; Jang
et al. 2017), which is biased. Its entropies of q and its top prior's term stay those of discrete latents, as
in Jang et al., so that the objective tends to the ELBO as the temperature falls.

As in those papers, the encoder sees x less the mean training image, and the output starts at that image's
log-odds. Latents enter the next layer as -1 and 1. Bounds on held-out images are those of discrete latents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import CapabilityError, SettingsError
from dgmbench.models.base import Model
from dgmbench.models.latent.discrete_gradients import NVIL, Draws, Estimate, reinforce, total, vimco
from dgmbench.models.latent.multi_sample import LEAST_MEAN, log_mean_exp, start_as_glorot
from dgmbench.models.parts.bodies import BodySettings, MLPDecoder, build_decoder, build_encoder
from dgmbench.models.parts.observations import Bernoulli, full_precision
from dgmbench.terms import ViewName

Estimator = Literal["reinforce", "nvil", "vimco", "concrete"]


class SigmoidBeliefSettings(BodySettings):
    """Structure, sizes and the estimator."""

    structure: Literal["linear", "nonlinear", "two_layers"] = Field(
        "linear", description="only nonlinear has a body (hidden, channels, activation)"
    )
    units: PositiveInt = Field(200, description="Bernoulli latents of a layer")
    estimator: Estimator = Field("vimco", description="of the encoder's gradient")
    samples: PositiveInt = Field(5, description="draws for each image; vimco bounds by them, others average")
    temperature: PositiveFloat = Field(0.3, description="concrete only: 0 would be discrete")
    baseline_hidden: list[PositiveInt] = Field([100], description="nvil only: widths of the baselines")


class SigmoidBelief(Model):
    """Bernoulli latents in one or two layers; z is h1, or (h1, h2) side by side."""

    Settings = SigmoidBeliefSettings
    views: ClassVar[tuple[ViewName, ...]] = ("binary",)

    mean: Tensor

    def __init__(self, settings: SigmoidBeliefSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        if settings.estimator == "vimco" and settings.samples < 2:
            raise SettingsError("samples: vimco holds each draw against the others, so it needs 2 or more")
        self.estimator: Estimator = settings.estimator
        self.samples, self.temperature = settings.samples, settings.temperature
        self.units = settings.units
        layers = 2 if settings.structure == "two_layers" else 1
        self.latent_dim = layers * self.units
        self.recognition, self.generation = self._networks(settings, layers)
        self.prior_logits = nn.Parameter(torch.zeros(self.units))
        self.observation = Bernoulli(self.image_shape)
        self.nvil = None
        if settings.estimator == "nvil":
            self.nvil = NVIL([self.dims, self.units][:layers], settings.baseline_hidden)
        self.register_buffer("mean", torch.full((self.dims,), 0.5))
        start_as_glorot(self)

    def _networks(self, settings: SigmoidBeliefSettings, layers: int) -> tuple[nn.ModuleList, nn.ModuleList]:
        """Networks that give the logits of q(h1|x), q(h2|h1) and of p(x|h1), p(h1|h2)."""
        if settings.structure == "nonlinear":
            body, width = build_encoder(settings, self.image_shape)
            up: nn.Module = nn.Sequential(body, nn.Linear(width, self.units))
            down = build_decoder(settings, self.units, self.image_shape, 1)
        else:
            up = nn.Sequential(nn.Flatten(), nn.Linear(self.dims, self.units))
            down = MLPDecoder(nn.Linear(self.units, self.dims))
        recognition, generation = nn.ModuleList([up]), nn.ModuleList([down])
        for _ in range(layers - 1):
            for networks in (recognition, generation):
                # A decoder body for its speed where thousands of draws are evaluated.
                networks.append(MLPDecoder(nn.Linear(self.units, self.units)))
        return recognition, generation

    def use_training_mean(self, mean: Tensor) -> None:
        """Centre on the mean training image, ``[C, H, W]`` in [0, 1]; called once, before the first step."""
        self.mean.copy_(mean.flatten())

    def _centred(self, x: Tensor) -> Tensor:
        return x - self.mean.reshape(self.image_shape)

    def _output(self, h1: Tensor) -> Tensor:
        """Logits ``[..., C * H * W]`` of p(x|h1)."""
        return full_precision(self.generation[0](2 * h1 - 1)) + torch.logit(self.mean, LEAST_MEAN)

    def _log_p(self, x: Tensor, latents: Sequence[Tensor], top: Tensor) -> list[Tensor]:
        """Log-probabilities of each factor of p; `top` stands for the highest latents in their prior."""
        between = [
            bernoulli_log_prob(below, full_precision(network(2 * above - 1)))
            for below, above, network in zip(latents, latents[1:], self.generation[1:], strict=False)
        ]
        return [
            self.observation.log_prob(x, self._output(latents[0])),
            *between,
            bernoulli_log_prob(top, self.prior_logits),
        ]

    def _infer(
        self, x: Tensor, k: int, latent: Callable[[Tensor], Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Latents layer by layer and the logits that `latent` made them from, each ``[k, n, units]``."""
        first = full_precision(self.recognition[0](self._centred(x)))
        logits = [first.expand(k, *first.shape)]
        latents = [latent(logits[0])]
        for network in self.recognition[1:]:
            logits.append(full_precision(network(2 * latents[-1] - 1)))
            latents.append(latent(logits[-1]))
        return latents, logits

    def draw(self, x: Tensor, k: int, generator: torch.Generator) -> Draws:
        """k draws of q(h|x) for each of ``x [n, C, H, W]``."""
        latents, logits = self._infer(x, k, lambda logits: bernoulli_draw(logits, generator))
        log_q = [bernoulli_log_prob(h, own) for h, own in zip(latents, logits, strict=True)]
        return Draws(latents, self._log_p(x, latents, latents[-1]), log_q)

    def estimate(self, x: Tensor, estimator: Estimator, generator: torch.Generator) -> Estimate:
        """The bound and the gradient estimate of `estimator`, means over the batch, from `samples` draws.

        Raises:
            ValueError: for nvil, if the model was made for another estimator and has no baselines.
        """
        if estimator == "concrete":
            bound = self._relaxed_bound(x, generator)
            return Estimate(bound, bound)
        draws = self.draw(x, self.samples, generator)
        if estimator != "nvil":
            return vimco(draws) if estimator == "vimco" else reinforce(draws)
        if self.nvil is None:
            raise ValueError(f"nvil needs baselines, and this model was made for {self.estimator}")
        return self.nvil(draws, [self._centred(x).flatten(1), *draws.latents][: len(draws.latents)])

    def _relaxed_bound(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The objective of `concrete`, nats, mean over the batch."""
        latents, logits = self._infer(x, self.samples, lambda logits: self._relaxed(logits, generator))
        # The entropy is minus the mean log-probability, and that is linear in h.
        entropies = [-bernoulli_log_prob(torch.sigmoid(own), own) for own in logits]
        return (total(self._log_p(x, latents, torch.sigmoid(logits[-1]))) + total(entropies)).mean()

    def _relaxed(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.logit(_uniform(logits, generator), 1e-6)
        return torch.sigmoid((logits + noise) / self.temperature)

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """The estimator's negative bound, nats per image, mean over the batch."""
        return {"loss": self.estimate(batch.x, self.estimator, generator).loss()}

    def validation_losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative bounds with discrete latents; ``"loss"`` is L_k for vimco and the ELBO for the others."""
        log_w = self.log_weights(batch.x, self.samples, generator)
        elbo, l_k = -log_w.mean(), -log_mean_exp(log_w).mean()
        return {
            "loss": l_k if self.estimator == "vimco" else elbo,
            "negative_elbo": elbo,
            "negative_l_k": l_k,
        }

    def log_weights(self, x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """``[k, n]`` values of log p(x, h) - log q(h|x) in nats, discrete h drawn from q(h|x)."""
        return self.draw(x, k, generator).log_weights()

    def encode(self, x: Tensor) -> Tensor:
        """Posterior means ``[n, latent_dim]``; with two layers those of h1, and of h2 given that mean."""
        return torch.cat(self._infer(x, 1, torch.sigmoid)[0], -1)[0]

    def kl_per_dimension(self, x: Tensor) -> Tensor:
        """KL(q(h|x) || p(h)) of each latent, nats, ``[n, latent_dim]``.

        Raises:
            CapabilityError: with two layers, where it has no closed form.
        """
        if len(self.recognition) == 2:
            raise CapabilityError(
                "the KL of two stochastic layers has no closed form; log_weights estimates it"
            )
        logits = full_precision(self.recognition[0](self._centred(x)))
        difference = torch.sigmoid(logits) * (logits - self.prior_logits)
        return difference - F.softplus(logits) + F.softplus(self.prior_logits)

    # Without `prior_log_prob`, for annealing needs latents that move continuously: not a `CanDecode`.
    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of p(h), zeros and ones."""
        latents = [bernoulli_draw(self.prior_logits.expand(n, -1), generator)]
        for network in reversed(self.generation[1:]):
            latents.insert(0, bernoulli_draw(network(2 * latents[0] - 1), generator))
        return torch.cat(latents, -1)

    def decode(self, z: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` of p(x|h1) for ``z [n, latent_dim]`` in [0, 1]."""
        return self.observation.mean(self._output(z[:, : self.units]))

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x|h1) for ``z [n, latent_dim]``, zeros and ones."""
        return self.observation.sample(self._output(z[:, : self.units]), generator)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x), zeros and ones."""
        return self.decoder_sample(self.prior_sample(n, generator), generator)


def bernoulli_log_prob(h: Tensor, logits: Tensor) -> Tensor:
    """log Bernoulli(h; logits) in nats, summed over the last axis; linear in h, so it takes relaxed h too."""
    return (h * logits - F.softplus(logits)).sum(-1)


def bernoulli_draw(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Zeros and ones with log-odds `logits`."""
    return (_uniform(logits, generator) < torch.sigmoid(logits)).to(logits.dtype)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
