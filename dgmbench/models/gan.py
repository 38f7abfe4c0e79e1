"""The generative adversarial network (Goodfellow et al. 2014), non-saturating, on gray images.

Alternating updates: the discriminator ascends log D(x) + log(1 - D(G(z))) (eq. 1), then the generator
ascends log D(G(z)) (section 3, the non-saturating form). Both networks are MLPs.

Deviation: real images arrive dequantised, so the generator's image gets the same uniform noise of one
level's width before the discriminator sees it; otherwise the noise alone would tell the two apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dgmbench.models.base import (
    Activation,
    GenerativeModel,
    ModelSettings,
    MomentDecay,
    TrainingBudget,
    mlp,
    standard_normal_log_prob,
)
from dgmbench.terms import View


class GANTraining(TrainingBudget):
    """A GAN's budget: Adam as in Radford et al. 2015, and the last epoch, since no loss ranks epochs."""

    learning_rate: float = Field(2e-4, gt=0, description="Adam's step size of both networks")
    betas: tuple[MomentDecay, MomentDecay] = Field((0.5, 0.999), description="Adam's moment decays")
    select: str = Field("last", pattern="^last$", description="only 'last': no loss ranks a GAN's epochs")  # type: ignore[assignment]


class GANSettings(ModelSettings):
    """Sizes of the two networks."""

    latent_dim: PositiveInt = Field(64, description="dimensions of z")
    generator_hidden: list[PositiveInt] = Field([256, 256], min_length=1, description="generator widths")
    discriminator_hidden: list[PositiveInt] = Field(
        [256, 256], min_length=1, description="discriminator widths"
    )
    activation: Activation = "leaky_relu"
    batch_norm: bool = Field(False, description="in the generator, as in Radford et al. 2015")
    dropout: float = Field(0.3, ge=0, lt=1, description="after each discriminator layer")
    training: GANTraining = GANTraining()


class GAN(GenerativeModel):
    """MLP generator and discriminator; z ~ N(0, I)."""

    Settings = GANSettings
    views: ClassVar[tuple[View, ...]] = ("gray",)
    phases: ClassVar[tuple[str, ...]] = ("discriminator", "generator")
    selection_loss: ClassVar[str | None] = None

    def __init__(self, settings: GANSettings, image_shape: tuple[int, int, int], levels: int) -> None:
        super().__init__(settings, image_shape, levels)
        self.latent_dim = settings.latent_dim
        self.dropout = settings.dropout
        sizes = [self.latent_dim, *settings.generator_hidden]
        hidden = mlp(sizes, settings.activation, batch_norm=settings.batch_norm)
        self.generator = nn.Sequential(hidden, nn.Linear(sizes[-1], self.dims))
        sizes = [self.dims, *settings.discriminator_hidden]
        self.discriminator = mlp(sizes, settings.activation)
        self.verdict = nn.Linear(sizes[-1], 1)

    def phase_parameters(self, phase: str) -> Iterable[nn.Parameter]:
        """Generator or discriminator parameters."""
        if phase == "generator":
            return self.generator.parameters()
        return [*self.discriminator.parameters(), *self.verdict.parameters()]

    def decode(self, z: Tensor) -> Tensor:
        """G(z), ``[n, C, H, W]`` in (0, 1), for ``z [n, latent_dim]``."""
        return torch.sigmoid(self.generator(z)).reshape(-1, *self.image_shape)

    def discriminate(self, x: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """Logits of D(x), ``[n]``; `dropout` gives the noise of training, None leaves every unit on."""
        hidden = 2 * x.flatten(1) - 1
        for layer in self.discriminator:
            hidden = layer(hidden)
            if dropout is not None and self.dropout > 0 and not isinstance(layer, nn.Linear):
                kept = torch.rand(hidden.shape, generator=dropout, device=hidden.device) >= self.dropout
                hidden = hidden * kept / (1 - self.dropout)
        return self.verdict(hidden).squeeze(1)

    def step(self, x: Tensor, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of one player in nats, means over the batch; ``phase`` says whose move it is."""
        if phase == "generator":
            fake = self.discriminate(self._noisy(self.sample(len(x), generator), generator), generator)
            return {"loss": F.softplus(-fake).mean()}
        with torch.no_grad():
            drawn = self._noisy(self.sample(len(x), generator), generator)
        return self._discriminator_losses(x, drawn, generator)

    def _discriminator_losses(
        self, x: Tensor, drawn: Tensor, dropout: torch.Generator | None
    ) -> dict[str, Tensor]:
        real, fake = self.discriminate(x, dropout), self.discriminate(drawn, dropout)
        loss = F.softplus(-real).mean() + F.softplus(fake).mean()
        accuracy = 0.5 * ((real > 0).float().mean() + (fake < 0).float().mean())
        return {"loss": loss, "accuracy": accuracy}

    def validation_losses(self, x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The discriminator's loss and accuracy on held-out images against fresh samples."""
        drawn = self._noisy(self.sample(len(x), generator), generator)
        losses = self._discriminator_losses(x, drawn, None)
        return {f"discriminator_{name}": value for name, value in losses.items()}

    def encode(self, x: Tensor) -> Tensor:
        """The discriminator's last hidden layer, ``[n, width]``."""
        return self.discriminator(2 * x.flatten(1) - 1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` images G(z) in (0, 1)."""
        return self.decode(self.prior_sample(n, generator))

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of N(0, I)."""
        weight, shape = self.verdict.weight, (n, self.latent_dim)
        return torch.randn(shape, generator=generator, device=weight.device, dtype=weight.dtype)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log N(z; 0, I) in nats, summed over the last axis."""
        return standard_normal_log_prob(z)

    def _noisy(self, images: Tensor, generator: torch.Generator) -> Tensor:
        uniform = torch.rand(images.shape, generator=generator, device=images.device)
        return images + (uniform - 0.5) / self.levels
