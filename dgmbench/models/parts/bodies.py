"""Network bodies that every latent-variable model here can choose from: an MLP, or strided convolutions.

An encoder body turns an image into a vector of features, a decoder body turns latents into the raw outputs of
an observation model. The convolutional pair halves the image with 4x4 convolutions of stride 2 and doubles it
again with transposed ones, as in DCGAN (Radford et al. 2015); a kernel that the stride divides gives every
output pixel as many inputs as its neighbours and so draws no checkerboard (Odena et al. 2016).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dgmbench.errors import SettingsError
from dgmbench.models.base import ModelSettings
from dgmbench.models.latent.decoding import dense
from dgmbench.models.parts.matrices import as_matrices
from dgmbench.models.parts.mlp import ACTIVATIONS, Activation, mlp

KERNEL, STRIDE, PADDING = 4, 2, 1


class BodySettings(ModelSettings):
    """Which body the encoder and decoder have, and its widths."""

    body: Literal["mlp", "conv"] = Field("mlp", description="fully connected, or strided convolutions")
    hidden: list[PositiveInt] = Field(
        [200, 200], description="mlp only: encoder widths; the decoder mirrors them"
    )
    channels: list[PositiveInt] = Field(
        [32, 64],
        min_length=1,
        description="conv only: features after each halving of the image; the decoder mirrors them",
    )
    activation: Activation = Field("tanh", description="after every hidden layer")


def build_encoder(settings: BodySettings, image_shape: tuple[int, int, int]) -> tuple[nn.Module, int]:
    """The encoder body, and the width of what it gives.

    It takes images ``[n, C, H, W]`` scaled to [-1, 1] and gives features ``[n, width]``, the last activation
    included.

    Raises:
        SettingsError: for more halvings than the image has room for.
    """
    if settings.body == "conv":
        encoder = ConvEncoder(image_shape, settings.channels, settings.activation)
        return encoder, encoder.width
    sizes = [math.prod(image_shape), *settings.hidden]
    return nn.Sequential(nn.Flatten(), *mlp(sizes, settings.activation)), sizes[-1]


def build_decoder(
    settings: BodySettings, latent_dim: int, image_shape: tuple[int, int, int], outputs_per_pixel: int
) -> nn.Module:
    """The decoder body with its (linear) output layer.

    It takes latents ``[..., latent_dim]`` and gives ``[..., outputs_per_pixel * C * H * W]``, such that
    ``.chunk(outputs_per_pixel, -1)`` are flat images in the order C, H, W.

    Raises:
        SettingsError: for more halvings than the image has room for.
    """
    if settings.body == "conv":
        return ConvDecoder(latent_dim, image_shape, settings.channels, settings.activation, outputs_per_pixel)
    sizes = [latent_dim, *reversed(settings.hidden)]
    layers = mlp(sizes, settings.activation)
    return MLPDecoder(*layers, nn.Linear(sizes[-1], outputs_per_pixel * math.prod(image_shape)))


def halvings(height: int, width: int, times: int) -> list[tuple[int, int]]:
    """The image's size at first and after each of `times` halvings, odd sizes rounded down.

    Raises:
        SettingsError: where less than one pixel would be left.
    """
    room = min(height, width).bit_length() - 1
    if times > room:
        raise SettingsError(
            f"'channels' has {times} entries, but a {height}x{width} image can be halved {room} times; "
            f"give at most {room}, or body: mlp"
        )
    return [(height >> i, width >> i) for i in range(times + 1)]


class MLPDecoder(nn.Sequential):
    """Linear layers and activations."""

    def forward(self, z: Tensor) -> Tensor:
        """``[..., latent_dim]`` to ``[..., outputs_per_pixel * C * H * W]``."""
        return dense(self, z)


class ConvEncoder(nn.Module):
    """Convolutions of stride 2, each with an activation, flattened.

    Args:
        image_shape: ``(C, H, W)``.
        channels: features after each convolution.
        activation: key of `ACTIVATIONS`.
    """

    def __init__(self, image_shape: tuple[int, int, int], channels: list[int], activation: str) -> None:
        super().__init__()
        inputs, height, width = image_shape
        layers: list[nn.Module] = []
        for outputs in channels:
            layers += [nn.Conv2d(inputs, outputs, KERNEL, STRIDE, PADDING), ACTIVATIONS[activation]()]
            inputs = outputs
        self.layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        self.width = channels[-1] * math.prod(halvings(height, width, len(channels))[-1])

    def forward(self, x: Tensor) -> Tensor:
        """``[n, C, H, W]`` to ``[n, width]``."""
        return self.layers(x).flatten(1)


class ConvDecoder(nn.Module):
    """A linear layer to the smallest image, then transposed convolutions that mirror `ConvEncoder`.

    Args:
        latent_dim: dimensions of z.
        image_shape: ``(C, H, W)``.
        channels: features after each convolution of the encoder.
        activation: key of `ACTIVATIONS`; none follows the last layer.
        outputs_per_pixel: how many images come out.
    """

    def __init__(
        self,
        latent_dim: int,
        image_shape: tuple[int, int, int],
        channels: list[int],
        activation: str,
        outputs_per_pixel: int,
    ) -> None:
        super().__init__()
        sizes = halvings(*image_shape[1:], len(channels))
        self.smallest = (channels[-1], *sizes[-1])
        self.first = nn.Sequential(nn.Linear(latent_dim, math.prod(self.smallest)), ACTIVATIONS[activation]())
        widths = [outputs_per_pixel * image_shape[0], *channels]
        layers: list[nn.Module] = []
        for i in reversed(range(len(channels))):
            # An odd size lost a row or column when it was halved; output_padding gives it back.
            lost = (sizes[i][0] % 2, sizes[i][1] % 2)
            layers.append(nn.ConvTranspose2d(widths[i + 1], widths[i], KERNEL, STRIDE, PADDING, lost))
            if i > 0:
                layers.append(ACTIVATIONS[activation]())
        # On a CPU a tenth faster to evaluate in this format than in the default one, and as fast to train.
        self.layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)

    def use_matrices(self) -> None:
        """Turn convolutions into matrices where the image is small enough; see `matrices`."""
        matrices = as_matrices(self.layers, self.smallest)
        self.layers = self.layers if matrices is None else matrices

    def forward(self, z: Tensor) -> Tensor:
        """``[..., latent_dim]`` to ``[..., outputs_per_pixel * C * H * W]``."""
        smallest = self.first(z.reshape(-1, z.shape[-1])).unflatten(1, self.smallest)
        output = self.layers(smallest).flatten(1)
        return output.reshape(*z.shape[:-1], output.shape[1])
