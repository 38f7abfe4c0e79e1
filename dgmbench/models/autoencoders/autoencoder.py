"""Auto-encoders as generators: the ways to draw images from an encoder f and a decoder g.

Training (`reconstruction`) says nothing of where codes lie, so f and g are no generator. `sample_by` draws

- prior: codes from N(0, I), though training does not place them there;
- gaussian, mixture: codes from densities fitted to the training codes afterwards (Ghosh et al. 2020);
- chain: images by the Markov chain published for the regulariser: corrupt and reconstruct (denoising: Bengio
  et al. 2013), or encode, step along the local tangent and decode (contractive: Rifai et al. 2012). Chains
  start at training images, a fixed number of which is part of the state.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import CapabilityError, SettingsError, suggest
from dgmbench.models.autoencoders.chains import contractive_chain, denoising_chain, scale_of_steps
from dgmbench.models.autoencoders.code_density import CodeDensity, GaussianCodes, MixtureCodes
from dgmbench.models.autoencoders.reconstruction import Reconstruction, ReconstructionSettings
from dgmbench.models.parts.densities import standard_normal_log_prob

CHAINED = ("denoising", "contractive")
# Images that are encoded at once after training, and those whose Jacobians are held at once.
BLOCK, JACOBIANS = 1000, 100


class AutoEncoderSettings(ReconstructionSettings):
    """How images are drawn."""

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
        if self.sampler == "chain" and self.regulariser not in CHAINED:
            raise ValueError(f"sampler: chain needs regulariser: {' or '.join(CHAINED)}")
        return self


class AutoEncoder(Reconstruction):
    """An encoder and a decoder, and after `finish` all that the ways of sampling need."""

    Settings = AutoEncoderSettings

    settings: AutoEncoderSettings
    starts: Tensor
    noise_variance: Tensor
    step_scale: Tensor

    def __init__(self, settings: AutoEncoderSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.gaussian = GaussianCodes(self.latent_dim)
        self.mixture = MixtureCodes(self.latent_dim, settings.mixture_components, settings.mixture_codes)
        if "chain" in self.ways:
            if self.levels > 256:
                raise SettingsError(
                    f"a chain's starts are kept as uint8, and {self.levels} levels do not fit"
                )
            shape = (settings.chain_starts, *self.image_shape)
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

    @torch.no_grad()
    def finish(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Fit the code densities and what the chain needs; returns the densities' validation numbers."""
        codes, held_out = self._encode_all(train.x), self._encode_all(valid.x)
        self.gaussian.fit(codes)
        scores = self.mixture.fit(codes, held_out, generator)
        if "chain" in self.ways:
            self._prepare_chain(train.x, valid.x, codes, generator)
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
        top = self.levels - 1
        self.starts.copy_((kept * (top + 1)).floor().clamp(0, top))
        if self.settings.regulariser == "denoising" and not self.view.is_binary:
            parts = [self.denoising_error(x, generator, 0) * len(x) for x in valid.split(BLOCK)]
            self.noise_variance.copy_(torch.stack(parts).sum() / valid.numel())
        if self.settings.regulariser == "contractive":
            gram = torch.cat([self.jacobian(x).gram() for x in self._start_images().split(JACOBIANS)])
            self.step_scale.copy_(scale_of_steps(gram, codes, self.settings.chain_scale))

    def _start_images(self) -> Tensor:
        if self.view.is_binary:
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
        return self.pixels(mean, None, generator)

    def _chain(self, n: int, generator: torch.Generator) -> Tensor:
        """Means ``[n, C, H, W]`` at the end of n chains, each from a random start."""
        self.mixture.require_fitted()
        x = self._start_images()
        x = x[torch.randint(len(x), (n,), generator=generator, device=x.device)]
        steps = self.settings.chain_steps
        if self.settings.regulariser == "contractive":
            walk = (steps, self.jacobian, self.decode, self.step_scale, generator)
            return torch.cat([contractive_chain(part, *walk) for part in x.split(JACOBIANS)])
        variance = self.noise_variance.to(x.dtype)
        return denoising_chain(
            x,
            steps,
            lambda x: self.corrupt(x, generator),
            lambda x: self.decode(self.encode(x)),
            lambda mean: self.pixels(mean, variance, generator),
        )[1]

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
