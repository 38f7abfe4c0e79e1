"""The generative adversarial network of multi-layer perceptrons (Goodfellow et al. 2014), on gray images.

The discriminator has rectified units and dropout, or maxout units as in the paper. Any objective of
`gan_objectives` can be chosen; the game itself is in `adversarial`.

Deviations: z ~ N(0, I) where the paper draws it uniformly, Adam where it has momentum.
"""

from __future__ import annotations

import itertools

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator
from torch import nn

from dgmbench.models.adversarial.discriminator import Discriminator
from dgmbench.models.adversarial.game import Adversarial
from dgmbench.models.adversarial.game_settings import AdversarialSettings
from dgmbench.models.parts.maxout import Maxout
from dgmbench.models.parts.mlp import ACTIVATIONS, Activation, mlp


class GANSettings(AdversarialSettings):
    """Sizes of the two networks."""

    generator_hidden: list[PositiveInt] = Field([256, 256], min_length=1, description="generator widths")
    discriminator_hidden: list[PositiveInt] = Field(
        [256, 256], min_length=1, description="discriminator widths"
    )
    activation: Activation = "leaky_relu"
    maxout_pieces: NonNegativeInt = Field(
        0, description="of each discriminator unit; 0: units have `activation` instead"
    )
    batch_norm: bool = Field(False, description="in the generator, as in Radford et al. 2015")
    dropout: float = Field(0.3, ge=0, lt=1, description="after each discriminator layer")

    @field_validator("maxout_pieces")
    @classmethod
    def _pieces(cls, pieces: int) -> int:
        if pieces == 1:
            raise ValueError("the largest of one piece is linear in its input; 0 (none), 2 and more work")
        return pieces


class GAN(Adversarial):
    """MLP generator and discriminator."""

    Settings = GANSettings
    settings: GANSettings

    def build_generator(self) -> nn.Module:
        """Hidden layers and a linear one."""
        settings = self.settings
        sizes = [self.latent_dim, *settings.generator_hidden]
        hidden = mlp(sizes, settings.activation, batch_norm=settings.batch_norm)
        return nn.Sequential(hidden, nn.Linear(sizes[-1], self.dims))

    def build_discriminator(self) -> Discriminator:
        """A block for each hidden layer, the first of which flattens the image."""
        settings = self.settings
        sizes = [self.dims, *settings.discriminator_hidden]
        layers = [self._layer(inputs, outputs) for inputs, outputs in itertools.pairwise(sizes)]
        layers[0].insert(0, nn.Flatten())
        spectral = settings.discriminator_norm == "spectral"
        return Discriminator(layers, sizes[-1], spectral=spectral, dropout=settings.dropout)

    def _layer(self, inputs: int, outputs: int) -> nn.Sequential:
        settings = self.settings
        norm = [nn.BatchNorm1d(outputs)] if settings.discriminator_norm == "batch" else []
        if settings.maxout_pieces:
            return nn.Sequential(Maxout(inputs, outputs, settings.maxout_pieces), *norm)
        return nn.Sequential(nn.Linear(inputs, outputs), *norm, ACTIVATIONS[settings.activation]())
