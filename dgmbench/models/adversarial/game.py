"""What all generative adversarial networks here share: the turns of the two players, sampling, features.

The discriminator moves at every step, each time on a batch of its own, the generator after every k-th
(Goodfellow et al. 2014, algorithm 1). Images are drawn from an exponential average of the generator's
parameters where there is one (Yazici et al. 2019).

Deviation: real images arrive dequantised, so the generator's image gets the same uniform noise of one
level's width before the discriminator sees it; otherwise the noise alone would distinguish the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.adversarial.collapse import sign_of_collapse
from dgmbench.models.adversarial.discriminator import Discriminator
from dgmbench.models.adversarial.game_settings import AdversarialSettings
from dgmbench.models.adversarial.objectives import (
    accuracy,
    discriminator_loss,
    generator_loss,
    generator_signal,
    gradient_penalty,
)
from dgmbench.models.base import Model
from dgmbench.models.parts.average import ParameterAverage
from dgmbench.models.parts.densities import standard_normal_log_prob
from dgmbench.terms import LEVELLED, ViewName

# The strip of training progress: images of so many fixed z after 1, 2, 4, ... moves of the generator.
STRIP_IMAGES, STRIP_FRAMES = 10, 20
# Features of a layer are pooled to so many cells each way at most (Radford et al. 2015, section 5.1).
POOLED = 4


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
        """Kept for the variance of images, which that of samples is compared with."""
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
        """Whether the game has collapsed: see `sign_of_collapse`."""
        return sign_of_collapse(curves, self.settings, int(self.moves))

    def _discriminator_losses(
        self, x: Tensor, drawn: Tensor, noise: torch.Generator | None
    ) -> dict[str, Tensor]:
        real, fake = self.discriminate(x, noise), self.discriminate(drawn, noise)
        share = accuracy(self.objective, real.detach(), fake.detach())
        return {"loss": discriminator_loss(self.objective, real, fake), "accuracy": share}

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
