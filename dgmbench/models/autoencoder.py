"""Auto-encoders and the ways to draw images from them: plain, sparse, denoising and contractive.

The objective is the reconstruction error of g(f(x)), changed by the regulariser:

- sparse: plus the divergence of each code entry's mean activation from a target rate (Lee et al. 2008, in
  the Kullback-Leibler form of Ng's CS294A notes, 2011);
- denoising: f sees a corrupted x (Vincent et al. 2008), or one that has walked off along the model's own
  chain (walkback, Bengio et al. 2013);
- contractive: plus the squared Frobenius norm of f's Jacobian, exactly (Rifai et al. 2011, eq. 2).

Binary images have cross-entropy, -log p(x|z) of independent pixels. Gray ones have the squared error: it is
zero where nothing is lost and makes principal components the linear case, whereas the cross-entropy with
intensities as targets has the images' own entropy as its floor.

Nothing of this says where codes lie, so f and g are no generator: `sample_by` draws codes from N(0, I), from
densities fitted to the codes afterwards (`finish`), or walks the Markov chain published for the regulariser.
Deviation: encoder and decoder weights are not tied, so a code could shrink, and the penalties with it, while
the decoder blows it up again; `decoder_decay`, the weight decay of Ng's notes, makes that cost something.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from dgmbench.errors import CapabilityError, SettingsError, suggest
from dgmbench.models.autoencoder_chains import contractive_chain, corrupt, denoising_chain, scale_of_steps
from dgmbench.models.base import GenerativeModel, standard_normal_log_prob
from dgmbench.models.bodies import BodySettings, build_decoder, build_encoder
from dgmbench.models.code_density import CodeDensity, GaussianCodes, MixtureCodes
from dgmbench.models.contraction import EncoderJacobian, encoder_jacobian
from dgmbench.models.observations import full_precision

CHAINED = ("denoising", "contractive")
# Images that are encoded at once after training.
BLOCK = 1000


class AutoEncoderSettings(BodySettings):
    """Sizes, the regulariser, and how images are drawn."""

    latent_dim: PositiveInt = Field(20, description="entries of a code")
    regulariser: Literal["none", "sparse", "denoising", "contractive"] = Field(
        "none", description="what is asked of the code besides the reconstruction"
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
    sampler: Literal["prior", "gaussian", "mixture", "chain"] = Field(
        "mixture", description="how `sample` draws: codes of N(0, I), of a fitted density, or the chain"
    )
    mixture_components: list[PositiveInt] = Field(
        [1, 5, 10, 20, 50], min_length=1, description="candidates; the best on validation codes is kept"
    )
    mixture_codes: PositiveInt = Field(10_000, description="training codes that the mixture is fitted to")
    chain_steps: PositiveInt = Field(100, description="from a training image to a sample")
    chain_starts: PositiveInt = Field(500, description="training images kept for chains to start from")
    chain_scale: PositiveFloat = Field(
        1.0, description="contractive only: a step's rms length in code space over the codes' rms deviation"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.regulariser == "sparse" and self.code_activation == "identity":
            raise ValueError("regulariser: sparse has a rate in (0, 1): code_activation is sigmoid or null")
        if self.sampler == "chain" and self.regulariser not in CHAINED:
            raise ValueError(f"sampler: chain needs regulariser: {' or '.join(CHAINED)}")
        if self.corruption != "gaussian" and self.corruption_level > 1:
            raise ValueError(f"corruption_level of {self.corruption} is a share of pixels: at most 1")
        return self


class AutoEncoder(GenerativeModel):
    """Encoder f, decoder g, and after `finish` all that the ways of sampling need."""

    Settings = AutoEncoderSettings

    starts: Tensor
    noise_variance: Tensor
    step_scale: Tensor

    def __init__(self, settings: AutoEncoderSettings, image_shape: tuple[int, int, int], levels: int) -> None:
        super().__init__(settings, image_shape, levels)
        self.settings, self.latent_dim = settings, settings.latent_dim
        body, width = build_encoder(settings, image_shape)
        sparse = settings.regulariser == "sparse"
        activation = settings.code_activation or ("sigmoid" if sparse else "identity")
        squash = nn.Sigmoid() if activation == "sigmoid" else nn.Identity()
        self.encoder = nn.Sequential(body, nn.Linear(width, self.latent_dim), squash)
        self.decoder = build_decoder(settings, self.latent_dim, image_shape, 1)
        self.gaussian = GaussianCodes(self.latent_dim)
        self.mixture = MixtureCodes(self.latent_dim, settings.mixture_components, settings.mixture_codes)
        if "chain" in self.ways:
            if levels > 256:
                raise SettingsError(f"a chain's starts are kept as uint8, and {levels} levels do not fit")
            shape = (settings.chain_starts, *image_shape)
            self.register_buffer("starts", torch.zeros(shape, dtype=torch.uint8))
            self.register_buffer("noise_variance", torch.zeros((), dtype=torch.float64))
            self.register_buffer("step_scale", torch.zeros((), dtype=torch.float64))

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways to draw images that `sample_by` takes."""
        chain = ("chain",) if self.settings.regulariser in CHAINED else ()
        return ("prior", "gaussian", "mixture", *chain)

    @property
    def way(self) -> str:
        """The one that `sample` takes: the setting `sampler`."""
        return self.settings.sampler

    def parameter_count(self) -> int:
        """The networks' parameters, and those of the density that `sample` draws codes from."""
        density = {"gaussian": self.gaussian, "mixture": self.mixture}.get(self.settings.sampler)
        return super().parameter_count() + (density.parameter_count() if density is not None else 0)

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``[n, latent_dim]`` of ``x [n, C, H, W]``."""
        return self.encoder(2 * x - 1)

    def decode(self, z: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` for ``z [n, latent_dim]``."""
        return self._mean(self.decoder(z)).reshape(-1, *self.image_shape)

    def _mean(self, output: Tensor) -> Tensor:
        bounded = self.view == "binary" or self.settings.mean == "sigmoid"
        return torch.sigmoid(output) if bounded else output

    def reconstruction_error(self, x: Tensor, seen: Tensor) -> Tensor:
        """Of x from the code of ``seen [n, C, H, W]``, ``[n]``: nats if binary, else squared error."""
        return self._error(x, self.decoder(self.encode(seen)))

    def _error(self, x: Tensor, output: Tensor) -> Tensor:
        flat, output = x.flatten(1), full_precision(output)
        if self.view == "binary":
            return F.binary_cross_entropy_with_logits(output, flat, reduction="none").sum(1)
        return (flat - self._mean(output)).square().sum(1)

    def step(self, x: Tensor, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Reconstruction error and penalty, means over the batch; ``loss`` is their sum with the decay."""
        losses = self._losses(x, generator, self.settings.walkback)
        if self.settings.decoder_decay:
            losses["loss"] = losses["loss"] + self.settings.decoder_decay * self._decoder_squares()
        return losses

    def validation_losses(self, x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """As `step` without decay or walkback; ``clean`` is the error of x from an uncorrupted x."""
        clean = self.reconstruction_error(x, x).mean()
        return self._losses(x, generator, 0) | {"clean": clean}

    def _losses(self, x: Tensor, generator: torch.Generator, walkback: int) -> dict[str, Tensor]:
        if self.settings.regulariser == "denoising":
            error = self._denoising_error(x, generator, walkback)
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
        return 4 * self._jacobian(x).squared_norm()

    def _jacobian(self, x: Tensor) -> EncoderJacobian:
        return encoder_jacobian(self.encoder, 2 * x - 1)

    def _denoising_error(self, x: Tensor, generator: torch.Generator, walkback: int) -> Tensor:
        """Mean error over corruptions of x and of where the chain leads from it (Bengio et al. 2013, alg. 1).

        Deviation: a fixed number of steps rather than a geometric one.
        """
        errors, at = [], x
        for left in reversed(range(1 + walkback)):
            output = self.decoder(self.encode(self.corrupt(at, generator)))
            errors.append(self._error(x, output).mean())
            if left:
                mean = self._mean(full_precision(output.detach())).view_as(x)
                at = self._pixels(mean, errors[-1].detach() / self.dims, generator)
        return torch.stack(errors).mean()

    def corrupt(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A draw of the corruption process, of the shape of x."""
        return corrupt(x, self.settings.corruption, self.settings.corruption_level, generator)

    def _decoder_squares(self) -> Tensor:
        weights = [weight for weight in self.decoder.parameters() if weight.ndim > 1]
        return torch.stack([weight.square().sum() for weight in weights]).sum()

    @torch.no_grad()
    def finish(self, train: Tensor, valid: Tensor, generator: torch.Generator) -> dict[str, float]:
        """Fit the code densities and what the chain needs; returns the densities' validation numbers."""
        codes, held_out = self._encode_all(train), self._encode_all(valid)
        self.gaussian.fit(codes)
        scores = self.mixture.fit(codes, held_out, generator)
        if "chain" in self.ways:
            self._prepare_chain(train, valid, codes, generator)
        return {
            "gaussian_codes": -float(self.gaussian.log_prob(held_out).mean()),
            "mixture_codes": min(scores.values()),
            "mixture_components": float(self.mixture.components),
        }

    def _encode_all(self, x: Tensor) -> Tensor:
        return torch.cat([self.encode(part).double() for part in x.split(BLOCK)])

    def _prepare_chain(self, train: Tensor, valid: Tensor, codes: Tensor, generator: torch.Generator) -> None:
        order = torch.randperm(len(train), generator=generator, device=train.device)
        kept = train[order[torch.arange(len(self.starts), device=train.device) % len(train)]]
        top = 1 if self.view == "binary" else self.levels - 1
        self.starts.copy_((kept * (top + 1)).floor().clamp(0, top))
        if self.settings.regulariser == "denoising" and self.view == "gray":
            parts = [self._denoising_error(x, generator, 0) * len(x) for x in valid.split(BLOCK)]
            self.noise_variance.copy_(torch.stack(parts).sum() / valid.numel())
        if self.settings.regulariser == "contractive":
            gram = self._jacobian(self._start_images()).gram()
            self.step_scale.copy_(scale_of_steps(gram, codes, self.settings.chain_scale))

    def _start_images(self) -> Tensor:
        if self.view == "binary":
            return self.starts.float()
        return (self.starts.float() + 0.5) / self.levels

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` images drawn as the setting `sampler` says; see `sample_by`."""
        return self.sample_by(self.settings.sampler, n, generator)

    @torch.no_grad()
    def sample_by(self, way: str, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` images drawn in one of the `ways`.

        Binary ones are draws of the decoder's pixels, gray ones its means.

        Raises:
            CapabilityError: for a way that this auto-encoder does not have.
            ValueError: before `finish`.
        """
        if way not in self.ways:
            raise CapabilityError(f"this auto-encoder does not sample by '{way}': {suggest(way, self.ways)}")
        mean = self._chain(n, generator) if way == "chain" else self.decode(self._codes(way, n, generator))
        return self._pixels(mean, None, generator)

    def _chain(self, n: int, generator: torch.Generator) -> Tensor:
        """Means ``[n, C, H, W]`` at the end of n chains, each from a random start."""
        x = self._start_images()
        x = x[torch.randint(len(x), (n,), generator=generator, device=x.device)]
        steps = self.settings.chain_steps
        if self.settings.regulariser == "contractive":
            return contractive_chain(x, steps, self._jacobian, self.decode, self.step_scale, generator)
        variance = self.noise_variance.to(x.dtype)
        return denoising_chain(
            x,
            steps,
            lambda x: self.corrupt(x, generator),
            lambda x: self.decode(self.encode(x)),
            lambda mean: self._pixels(mean, variance, generator),
        )[1]

    def _pixels(self, mean: Tensor, variance: Tensor | None, generator: torch.Generator) -> Tensor:
        """Draws of p(x|mean): Bernoulli, or Gaussian of the given variance (None: the mean itself)."""
        if self.view == "binary":
            uniform = torch.rand(mean.shape, generator=generator, device=mean.device)
            return (uniform < mean).to(mean.dtype)
        if variance is None:
            return mean
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean + variance.sqrt() * noise

    def _codes(self, way: str, n: int, generator: torch.Generator) -> Tensor:
        weight = next(self.parameters())
        if way == "prior":
            shape = (n, self.latent_dim)
            return torch.randn(shape, generator=generator, device=weight.device, dtype=weight.dtype)
        return self._density(way).sample(n, generator).to(weight.dtype)

    def _density(self, way: str) -> CodeDensity:
        return self.gaussian if way == "gaussian" else self.mixture

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` codes of what `sampler` names; a chain has no p(z), the mixture stands in."""
        return self._codes(self.settings.sampler, n, generator)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log p(z) of the density of `prior_sample` in nats, summed over the last axis."""
        if self.settings.sampler == "prior":
            return standard_normal_log_prob(z)
        return self._density(self.settings.sampler).log_prob(z)


def rate_divergence(code: Tensor, target: float) -> Tensor:
    """sum_j KL(target || mean activation of entry j) in nats, for ``code [n, k]`` in (0, 1): a scalar."""
    rate = code.mean(0).clamp(1e-6, 1 - 1e-6)
    log_ratios = target * (target / rate).log() + (1 - target) * ((1 - target) / (1 - rate)).log()
    return log_ratios.sum()
