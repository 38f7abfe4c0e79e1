"""The deep convolutional GAN (Radford et al. 2015) for images from 8x8 on, of even or odd sizes.

Strided convolutions in the discriminator and transposed ones in the generator, batch norm in both but for
the generator's output and the discriminator's input, ReLU in the generator, leaky ReLU of slope 0.2 in the
discriminator, no hidden layer that is fully connected, weights from N(0, 0.02^2) (section 3 and 4).

Deviations: kernels of 4x4 where the paper has 5x5, as a kernel that the stride divides gives every output
pixel as many inputs as its neighbours (Odena et al. 2016); z ~ N(0, I) where it draws it uniformly; a
sigmoid to [0, 1] where it has tanh to [-1, 1], the same function of half the logit.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dgmbench.models.adversarial.discriminator import Discriminator
from dgmbench.models.adversarial.game import Adversarial
from dgmbench.models.adversarial.game_settings import AdversarialSettings
from dgmbench.models.parts.bodies import KERNEL, PADDING, STRIDE, halvings
from dgmbench.models.parts.matrices import as_matrices

SLOPE, DEVIATION = 0.2, 0.02


class DCGANSettings(AdversarialSettings):
    """Widths of the two networks, which mirror each other."""

    channels: list[PositiveInt] = Field(
        [64, 128], min_length=1, description="discriminator features after each halving of the image"
    )
    discriminator_norm: Literal["none", "batch", "spectral"] = Field(
        "batch", description="batch norm, or the largest singular value of each layer held at 1"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="after each discriminator layer")


class Upsampler(nn.Module):
    """A linear layer to the smallest image, then transposed convolutions, with batch norm and ReLU between.

    Args:
        latent_dim: dimensions of z.
        image_shape: ``(C, H, W)``.
        channels: features of the mirrored discriminator after each halving.
    """

    def __init__(self, latent_dim: int, image_shape: tuple[int, int, int], channels: list[int]) -> None:
        super().__init__()
        sizes = halvings(*image_shape[1:], len(channels))
        self.image_shape, self.smallest = image_shape, (channels[-1], *sizes[-1])
        self.first = nn.Linear(latent_dim, math.prod(self.smallest))
        layers: list[nn.Module] = []
        widths = [image_shape[0], *channels]
        for i in reversed(range(len(channels))):
            # An odd size lost a row or column when it was halved; output_padding gives it back.
            lost = (sizes[i][0] % 2, sizes[i][1] % 2)
            layers += [nn.BatchNorm2d(widths[i + 1]), nn.ReLU()]
            layers.append(nn.ConvTranspose2d(widths[i + 1], widths[i], KERNEL, STRIDE, PADDING, lost))
        self.layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)

    def use_matrices(self) -> None:
        """Turn convolutions into matrices where the image is small enough; see `matrices`."""
        matrices = as_matrices(self.layers, self.smallest)
        self.layers = (
            self.layers if matrices is None else nn.Sequential(*matrices, nn.Unflatten(1, self.image_shape))
        )

    def forward(self, z: Tensor) -> Tensor:
        """Logits ``[n, C, H, W]`` of ``z [..., latent_dim]``."""
        smallest = self.first(z.reshape(-1, z.shape[-1])).unflatten(1, self.smallest)
        return self.layers(smallest.contiguous(memory_format=torch.channels_last))


class DCGAN(Adversarial):
    """Convolutional generator and discriminator."""

    Settings = DCGANSettings
    settings: DCGANSettings

    def build_generator(self) -> nn.Module:
        """From z to the image by doublings."""
        generator = Upsampler(self.latent_dim, self.image_shape, self.settings.channels)
        generator.apply(_draw_weights)
        return generator

    def build_discriminator(self) -> Discriminator:
        """A block for each halving of the image."""
        settings, layers = self.settings, []
        widths = [self.image_shape[0], *settings.channels]
        for place in range(len(settings.channels)):
            layers.append(self._halving(widths[place], widths[place + 1], first=place == 0))
        width = settings.channels[-1] * math.prod(halvings(*self.image_shape[1:], len(layers))[-1])
        for layer in layers:
            layer.apply(_draw_weights)
        spectral = settings.discriminator_norm == "spectral"
        return Discriminator(layers, width, spectral=spectral, dropout=settings.dropout, draw=_draw_weights)

    def _halving(self, inputs: int, outputs: int, first: bool) -> nn.Sequential:
        batch = self.settings.discriminator_norm == "batch" and not first
        norm = [nn.BatchNorm2d(outputs)] if batch else []
        convolution = nn.Conv2d(inputs, outputs, KERNEL, STRIDE, PADDING)
        block = nn.Sequential(convolution, *norm, nn.LeakyReLU(SLOPE))
        return block.to(memory_format=torch.channels_last)


def _draw_weights(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, DEVIATION)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
