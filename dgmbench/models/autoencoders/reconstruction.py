"""Auto-encoders as maps through a bottleneck: plain, sparse, denoising and contractive.

The objective is the reconstruction error of g(f(x)), changed by the regulariser:

- sparse: plus the divergence of each code entry's mean activation from a target rate (Lee et al. 2008, in
  the Kullback-Leibler form of Ng's CS294A notes, 2011);
- denoising: f sees a corrupted x (Vincent et al. 2008), or one taken from the model's own
  chain (walkback, Bengio et al. 2013);
- contractive: plus the squared Frobenius norm of f's Jacobian, exactly (Rifai et al. 2011, eq. 2).

Binary images have cross-entropy, -log p(x|z) of independent pixels. Gray ones have the squared error: it is
zero where nothing is lost and makes principal components the linear case, whereas the cross-entropy with
intensities as targets has the images' own entropy as its floor.

Deviation: encoder and decoder weights are not tied, so a code could shrink, and the penalties with it, while
the decoder blows it up again; `decoder_decay`, the weight decay of Ng's notes, makes that cost something.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.autoencoders.chains import corrupt
from dgmbench.models.autoencoders.contraction import EncoderJacobian, encoder_jacobian
from dgmbench.models.base import Model
from dgmbench.models.parts.bodies import BodySettings, build_decoder, build_encoder
from dgmbench.models.parts.observations import full_precision


class ReconstructionSettings(BodySettings):
    """Sizes and the regulariser."""

    latent_dim: PositiveInt = Field(20, description="entries of a code")
    regulariser: Literal["none", "sparse", "denoising", "contractive"] = Field(
        "none", description="penalty on the code besides the reconstruction"
    )
    code_activation: Literal["identity", "sigmoid"] | None = Field(
        None, description="of the code; null: sigmoid if sparse, whose rates lie in (0, 1), else identity"
    )
    mean: Literal["sigmoid", "identity"] = Field("sigmoid", description="gray only: the decoder's output")
    penalty: NonNegativeFloat = Field(1.0, description="sparse and contractive only: weight of the penalty")
    decoder_decay: NonNegativeFloat = Field(0.0, description="weight of the decoder's squared weights")
    target_rate: float = Field(0.05, gt=0, lt=1, description="sparse only: mean activation aimed at")
    penalty_images: PositiveInt | None = Field(
        None, description="contractive only: images of a batch whose Jacobians are taken; null: all"
    )
    corruption: Literal["gaussian", "masking", "salt_and_pepper"] = Field(
        "gaussian", description="denoising only: noise added, pixels set to 0, or pixels set to 0 or 1"
    )
    corruption_level: PositiveFloat = Field(
        0.3, description="denoising only: the noise's deviation, or the share of pixels set"
    )
    walkback: NonNegativeInt = Field(0, description="denoising only: chain steps to walk back from")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.regulariser == "sparse" and self.code_activation == "identity":
            raise ValueError("regulariser: sparse has a rate in (0, 1): code_activation is sigmoid or null")
        if self.corruption != "gaussian" and self.corruption_level > 1:
            raise ValueError(f"corruption_level of {self.corruption} is a share of pixels: at most 1")
        return self


class Reconstruction(Model):
    """Encoder f, decoder g and their objective; `autoencoder` adds the ways to draw images."""

    def __init__(self, settings: ReconstructionSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.settings: ReconstructionSettings = settings
        self.latent_dim = settings.latent_dim
        body, width = build_encoder(settings, self.image_shape)
        sparse = settings.regulariser == "sparse"
        activation = settings.code_activation or ("sigmoid" if sparse else "identity")
        squash = nn.Sigmoid() if activation == "sigmoid" else nn.Identity()
        self.encoder = nn.Sequential(body, nn.Linear(width, self.latent_dim), squash)
        self.decoder = build_decoder(settings, self.latent_dim, self.image_shape, 1)

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``[n, latent_dim]`` of ``x [n, C, H, W]``."""
        return self.encoder(2 * x - 1)

    def decode(self, z: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` for ``z [n, latent_dim]``."""
        return self._mean(self.decoder(z)).reshape(-1, *self.image_shape)

    def _mean(self, output: Tensor) -> Tensor:
        bounded = self.view.is_binary or self.settings.mean == "sigmoid"
        return torch.sigmoid(output) if bounded else output

    def reconstruction_error(self, x: Tensor, seen: Tensor) -> Tensor:
        """Of x from the code of ``seen [n, C, H, W]``, ``[n]``: nats if binary, else squared error."""
        return self._error(x, self.decoder(self.encode(seen)))

    def _error(self, x: Tensor, output: Tensor) -> Tensor:
        flat, output = x.flatten(1), full_precision(output)
        if self.view.is_binary:
            return F.binary_cross_entropy_with_logits(output, flat, reduction="none").sum(1)
        return (flat - self._mean(output)).square().sum(1)

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Reconstruction error and penalty, means over the batch; ``loss`` is their sum with the decay."""
        losses = self._losses(batch.x, generator, self.settings.walkback)
        if self.settings.decoder_decay:
            losses["loss"] = losses["loss"] + self.settings.decoder_decay * self._decoder_squares()
        return losses

    def validation_losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """As `step` without decay or walkback; ``clean`` is the error of x from an uncorrupted x."""
        clean = self.reconstruction_error(batch.x, batch.x).mean()
        return self._losses(batch.x, generator, 0) | {"clean": clean}

    def _losses(self, x: Tensor, generator: torch.Generator, walkback: int) -> dict[str, Tensor]:
        if self.settings.regulariser == "denoising":
            error = self.denoising_error(x, generator, walkback)
            return {"loss": error, "reconstruction": error}
        code = self.encode(x)
        error = self._error(x, self.decoder(code)).mean()
        if self.settings.regulariser == "none":
            return {"loss": error, "reconstruction": error}
        if self.settings.regulariser == "sparse":
            penalty = rate_divergence(full_precision(code), self.settings.target_rate)
        else:
            penalty = self.contraction(x[: self.settings.penalty_images]).mean()
        loss = error + self.settings.penalty * penalty
        return {"loss": loss, "reconstruction": error, "penalty": penalty}

    def contraction(self, x: Tensor) -> Tensor:
        """The squared Frobenius norm of df/dx at each of ``x [n, C, H, W]``, ``[n]``."""
        # The encoder sees 2x - 1: twice the slope.
        return 4 * self.jacobian(x).squared_norm()

    def jacobian(self, x: Tensor) -> EncoderJacobian:
        """That of the encoder at each of ``x [n, C, H, W]``, with respect to its input 2x - 1."""
        return encoder_jacobian(self.encoder, 2 * x - 1)

    def denoising_error(self, x: Tensor, generator: torch.Generator, walkback: int) -> Tensor:
        """Mean error over corruptions of x and of where the chain leads from it (Bengio et al. 2013, alg. 1).

        Deviation: a fixed number of steps rather than a geometric one.
        """
        errors, at = [], x
        for left in reversed(range(1 + walkback)):
            output = self.decoder(self.encode(self.corrupt(at, generator)))
            errors.append(self._error(x, output).mean())
            if left:
                mean = self._mean(full_precision(output.detach())).view_as(x)
                at = self.pixels(mean, errors[-1].detach() / self.dims, generator)
        return torch.stack(errors).mean()

    def corrupt(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A draw of the corruption process, of the shape of x."""
        return corrupt(x, self.settings.corruption, self.settings.corruption_level, generator)

    def _decoder_squares(self) -> Tensor:
        weights = [weight for weight in self.decoder.parameters() if weight.ndim > 1]
        return torch.stack([weight.square().sum() for weight in weights]).sum()

    def pixels(self, mean: Tensor, variance: Tensor | None, generator: torch.Generator) -> Tensor:
        """Draws of p(x|mean): Bernoulli, or Gaussian of the given variance (None: the mean itself)."""
        if self.view.is_binary:
            uniform = torch.rand(mean.shape, generator=generator, device=mean.device)
            return (uniform < mean).to(mean.dtype)
        if variance is None:
            return mean
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + variance.sqrt() * noise


def rate_divergence(code: Tensor, target: float) -> Tensor:
    """sum_j KL(target || mean activation of entry j) in nats, for ``code [n, k]`` in (0, 1): a scalar."""
    rate = code.mean(0).clamp(1e-6, 1 - 1e-6)
    log_ratios = target * (target / rate).log() + (1 - target) * ((1 - target) / (1 - rate)).log()
    return log_ratios.sum()
