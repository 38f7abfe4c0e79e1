"""What all generative adversarial networks here share: the game, its objectives, and what is kept of it.

The discriminator moves at every step, each time on a batch of its own, the generator after every k-th
(Goodfellow et al. 2014, algorithm 1). Images are drawn from an exponential average of the generator's
parameters where there is one (Yazici et al. 2019).

Deviation: real images arrive dequantised, so the generator's image gets the same uniform noise of one
level's width before the discriminator sees it; otherwise the noise alone would tell the two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.adversarial.objectives import (
    Objective,
    accuracy,
    discriminator_loss,
    generator_loss,
    generator_signal,
    gradient_penalty,
)
from dgmbench.models.base import Model, ModelSettings
from dgmbench.models.parts.average import ParameterAverage
from dgmbench.models.parts.densities import standard_normal_log_prob
from dgmbench.settings.block import Pair
from dgmbench.settings.budget import MomentDecay, TrainingBudget
from dgmbench.terms import LEVELLED, ViewName

# The strip of training progress: images of so many fixed z after 1, 2, 4, ... moves of the generator.
STRIP_IMAGES, STRIP_FRAMES = 10, 20
# Features of a layer are pooled to so many cells each way at most (Radford et al. 2015, section 5.1).
POOLED = 4


class AdversarialTraining(TrainingBudget):
    """A GAN's budget: Adam as in Radford et al. 2015, and the last epoch, since no loss ranks epochs."""

    learning_rate: float = Field(2e-4, gt=0, description="Adam's step size of both networks")
    betas: Pair[MomentDecay] = Field((0.5, 0.999), description="Adam's moment decays")
    select: Literal["last"] = Field("last", description="only 'last': no loss ranks a GAN's epochs")


class AdversarialSettings(ModelSettings):
    """The game; families add their networks."""

    latent_dim: PositiveInt = Field(64, description="dimensions of z")
    objective: Objective = Field("non_saturating", description="what the two networks descend")
    discriminator_steps: PositiveInt = Field(1, description="k, its moves to each of the generator")
    discriminator_rate: PositiveFloat = Field(1.0, description="its step size over the generator's")
    discriminator_norm: Literal["none", "batch", "spectral"] = Field(
        "none", description="batch norm, or the largest singular value of each layer held at 1"
    )
    gradient_penalty: PositiveFloat = Field(10.0, description="wasserstein_gp only: weight of the penalty")
    average: float = Field(0.0, ge=0, lt=1, description="decay of the generator's average; 0: there is none")
    least_variance: float = Field(
        0.05,
        ge=0,
        description="collapsed if the samples' variance over the images' stays below this, "
        "after it was above or at the end",
    )
    least_signal: float = Field(
        1e-3, ge=0, description="collapsed if the generator's loss stays flatter in D's output than this"
    )
    most_accuracy: float = Field(
        1.0,
        gt=0.5,
        le=1,
        description="collapsed if D's accuracy stays above this, but for wasserstein_gp; 1: whatever it is, "
        "since a generator may recover from it",
    )
    patience: PositiveInt = Field(
        10, description="epochs, or looks at validation, that 'stays' stands for; at most all of them"
    )
    training: AdversarialTraining = AdversarialTraining()

    @model_validator(mode="after")
    def _separate(self) -> Self:
        if self.objective == "wasserstein_gp" and self.discriminator_norm == "batch":
            # Gulrajani et al. 2017, section 4: the penalty is of each image's own gradient.
            raise ValueError(
                "objective: wasserstein_gp cannot have discriminator_norm: batch (DCGAN's default); "
                "none and spectral work"
            )
        return self


class Discriminator(nn.Module):
    """Layers one after the other, and one linear output.

    Args:
        layers: each takes the output of the one before; the first takes images scaled to [-1, 1].
        width: features of an image after the last layer, flattened.
        draw: sets the first weights of the output layer.
        spectral: hold the largest singular value of every weight at 1 (Miyato et al. 2018, eq. 8).
        dropout: share of features dropped after each layer.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        width: int,
        *,
        spectral: bool,
        dropout: float,
        draw: Callable[[nn.Module], None] | None = None,
    ) -> None:
        super().__init__()
        self.layers, self.verdict = nn.ModuleList(layers), nn.Linear(width, 1)
        if draw is not None:
            draw(self.verdict)
        self.dropout = dropout
        if spectral:
            for module in list(self.modules()):
                if isinstance(module, (nn.Linear, nn.Conv2d)):
                    spectral_norm(module)

    def features(self, x: Tensor, noise: torch.Generator | None = None) -> list[Tensor]:
        """What each layer gives for ``x [n, C, H, W]`` in [0, 1]; `noise` draws dropout, None has none."""
        hidden, found = 2 * x - 1, []
        for layer in self.layers:
            hidden = layer(hidden)
            if noise is not None and self.dropout > 0:
                kept = torch.rand(hidden.shape, generator=noise, device=hidden.device) >= self.dropout
                hidden = hidden * kept / (1 - self.dropout)
            found.append(hidden)
        return found

    def forward(self, x: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """Outputs s(x), ``[n]``."""
        return self.verdict(self.features(x, noise)[-1].flatten(1)).squeeze(1)


class Adversarial(Model):
    """Two players; subclasses build `generator` (z to logits of pixels) and `discriminator`."""

    Settings = AdversarialSettings
    views: ClassVar[tuple[ViewName, ...]] = LEVELLED
    phases: ClassVar[tuple[str, ...]] = ("discriminator", "generator")
    selection_loss: ClassVar[str | None] = None

    mean: Tensor
    strip: Tensor
    moves: Tensor

    def __init__(self, settings: AdversarialSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.settings, self.objective, self.latent_dim = settings, settings.objective, settings.latent_dim
        self.generator, self.discriminator = self.build_generator(), self.build_discriminator()
        self.average = ParameterAverage(self.generator, settings.average) if settings.average else None
        self.register_buffer("mean", torch.zeros(self.image_shape))
        self.register_buffer("moves", torch.zeros((), dtype=torch.int64))
        frames = (STRIP_FRAMES, STRIP_IMAGES, *self.image_shape)
        self.register_buffer("strip", torch.zeros(frames, dtype=torch.uint8))

    def build_generator(self) -> nn.Module:
        """From ``[n, latent_dim]`` to as many logits as an image has pixels."""
        raise NotImplementedError

    def build_discriminator(self) -> Discriminator:
        """The other player."""
        raise NotImplementedError

    # Training

    def use_training_mean(self, mean: Tensor) -> None:
        """Kept for the variance of images, which that of samples is held against."""
        self.mean.copy_(mean)

    def phase_parameters(self, phase: str) -> Iterable[nn.Parameter]:
        """Generator or discriminator parameters."""
        return self.generator.parameters() if phase == "generator" else self.discriminator.parameters()

    def phases_at(self, step: int) -> tuple[str, ...]:
        """The discriminator at every step, the generator at each k-th."""
        both = (step + 1) % self.settings.discriminator_steps == 0
        return self.phases if both else ("discriminator",)

    def rate_of(self, phase: str) -> float:
        """The discriminator's step size is a multiple of the generator's."""
        return self.settings.discriminator_rate if phase == "discriminator" else 1.0

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of one player, means over the batch; ``phase`` says whose move it is."""
        x = batch.x
        if len(x) == 1:
            # The end of an epoch may be a single image, of which batch norm can make nothing.
            x = x.repeat(2, 1, 1, 1)
        if phase == "generator":
            drawn = self._noisy(self.sample(len(x), generator), generator)
            fake = self.discriminate(drawn, generator)
            signal = generator_signal(self.objective, fake.detach())
            return {"loss": generator_loss(self.objective, fake), "signal": signal}
        with torch.no_grad():
            drawn = self._noisy(self.sample(len(x), generator), generator)
        losses = self._discriminator_losses(x, drawn, generator)
        if self.objective == "wasserstein_gp":
            losses["penalty"] = gradient_penalty(self.discriminate, x, drawn, generator)
            losses["loss"] = losses["loss"] + self.settings.gradient_penalty * losses["penalty"]
        return losses

    def after_step(self, phase: str) -> None:
        """Move the average, and keep the images of the strip where they are due."""
        if phase != "generator":
            return
        if self.average is not None:
            self.average.update(self.generator)
        self.moves += 1
        moves = int(self.moves)
        frame = moves.bit_length() - 1
        if moves == 1 << frame and frame < STRIP_FRAMES:
            self.eval()
            images = self.decode(self.strip_latents())
            self.train()
            self.strip[frame] = (255 * images).round().to(torch.uint8)

    def strip_latents(self) -> Tensor:
        """The z of the strip's images, the same for every model of so many latents."""
        z = torch.randn((STRIP_IMAGES, self.latent_dim), generator=torch.Generator().manual_seed(0))
        return z.to(self.mean)

    def validation_losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The discriminator on held-out images against fresh samples, and the variance per pixel of both."""
        samples = self.sample(max(len(batch.x), 2), generator)
        drawn = self._noisy(samples, generator)
        losses = self._discriminator_losses(batch.x, drawn, None)
        named = {f"discriminator_{name}": value for name, value in losses.items()}
        return named | {
            "sample_variance": samples.var(0).mean(),
            "image_variance": (batch.x - self.mean).square().mean(),
        }

    def collapse(self, curves: Mapping[str, Sequence[float]]) -> str | None:
        """Whether all samples have become alike, or the generator is no longer told what to do.

        The latter shows as a loss that is flat in D's output, or as images that D never mistakes (but under
        Wasserstein, where the better the critic the better the gradient; Arjovsky et al. 2017, section 3).
        """
        training = self.settings.training
        looks = max(training.epochs // training.validate_every, 1)
        seen = len(curves.get("train/discriminator_accuracy", ()))
        if seen == training.epochs and int(self.moves) == 0:
            return f"the generator never moved (discriminator_steps: {self.settings.discriminator_steps})"
        samples, images = (curves.get(f"valid/{kind}_variance", ()) for kind in ("sample", "image"))
        ratios = [own / real if real > 0 else 1.0 for own, real in zip(samples, images, strict=True)]
        # A generator starts with images alike: it has collapsed if it once drew others, or if it ends so.
        begun = max(ratios, default=0.0) >= self.settings.least_variance or len(ratios) >= looks
        if begun and self._stays_below(ratios, self.settings.least_variance, looks):
            return f"samples varied {ratios[-1]:.2g} times as much as images"
        signals = curves.get("train/generator_signal", ())
        if self._stays_below(signals, self.settings.least_signal, training.epochs):
            return f"the generator's loss was flat (a signal of {signals[-1]:.2g})"
        errors = [1 - accuracy for accuracy in curves.get("train/discriminator_accuracy", ())]
        if self.objective != "wasserstein_gp" and self._stays_below(
            errors, 1 - self.settings.most_accuracy, training.epochs
        ):
            return f"the discriminator was saturated (an accuracy of {1 - errors[-1]:.4f})"
        return None

    def _stays_below(self, values: Sequence[float], limit: float, most: int) -> bool:
        """Whether the last `patience` values are, or all where there are no more than `most`."""
        patience = min(self.settings.patience, most)
        last = values[-patience:]
        return len(last) == patience and max(last) < limit

    def _discriminator_losses(
        self, x: Tensor, drawn: Tensor, noise: torch.Generator | None
    ) -> dict[str, Tensor]:
        real, fake = self.discriminate(x, noise), self.discriminate(drawn, noise)
        told = accuracy(self.objective, real.detach(), fake.detach())
        return {"loss": discriminator_loss(self.objective, real, fake), "accuracy": told}

    def _noisy(self, images: Tensor, generator: torch.Generator) -> Tensor:
        uniform = torch.rand(images.shape, generator=generator, device=images.device)
        return images + (uniform - 0.5) / self.levels

    # Use

    def decode(self, z: Tensor) -> Tensor:
        """G(z), ``[n, C, H, W]`` in (0, 1), for ``z [n, latent_dim]``; in eval mode by the average."""
        if self.average is None or self.training:
            logits = self.generator(z)
        else:
            logits = self.average.call(self.generator, z)
        return torch.sigmoid(logits).reshape(-1, *self.image_shape)

    def use_matrices(self) -> None:
        """Draw by the average for good, so that the generator's convolutions can turn into matrices."""
        if self.average is not None:
            self.average.load_into(self.generator)
            self.average = None

    def discriminate(self, x: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """The discriminator's outputs, ``[n]``; `noise` draws the dropout of training, None has none."""
        return self.discriminator(x, noise)

    def encode(self, x: Tensor) -> Tensor:
        """Features of all the discriminator's layers, max-pooled to 4x4 cells where they are images."""
        pooled = []
        for features in self.discriminator.features(x):
            if features.ndim == 4:
                cells = min(POOLED, *features.shape[2:])
                features = F.adaptive_max_pool2d(features, cells)
            pooled.append(features.flatten(1))
        return torch.cat(pooled, 1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` images G(z) in (0, 1)."""
        return self.decode(self.prior_sample(n, generator))

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of N(0, I)."""
        like, shape = self.mean, (n, self.latent_dim)
        return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log N(z; 0, I) in nats, summed over the last axis."""
        return standard_normal_log_prob(z)
