from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from dgmbench.errors import SettingsError
from dgmbench.models.parts.bodies import BodySettings, ConvDecoder, build_decoder, build_encoder, halvings

Shape = tuple[int, int, int]
SHAPES: list[Shape] = [(1, 8, 8), (1, 28, 28), (1, 28, 20), (3, 32, 32), (2, 5, 7), (1, 4, 4)]


def settings(body: str, **others: Any) -> BodySettings:
    base = {"family": "x", "view": "binary", "body": body, "hidden": [9, 7], "channels": [4, 6]}
    return BodySettings.model_validate(base | others)


def draws(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def encoder(body: str, shape: Shape, **others: Any) -> tuple[nn.Module, int]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_encoder(settings(body, **others), shape)


def decoder(body: str, shape: Shape, outputs: int, **others: Any) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_decoder(settings(body, **others), 3, shape, outputs)


@pytest.mark.parametrize("body", ["mlp", "conv"])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(body: str, shape: Shape) -> None:
    channels, height, width = shape
    network, features = encoder(body, shape)
    assert network(draws(5, *shape)).shape == (5, features)
    assert features == (7 if body == "mlp" else 6 * (height // 4) * (width // 4))
    for outputs in (1, 2):
        made = decoder(body, shape, outputs)
        assert made(draws(2, 5, 3)).shape == (2, 5, outputs * channels * height * width)
        assert made(draws(3)).shape == (outputs * channels * height * width,)


@pytest.mark.parametrize("body", ["mlp", "conv"])
def test_leading_axes_are_only_a_batch(body: str) -> None:
    network, z = decoder(body, (2, 5, 7), 2), draws(2, 4, 3)
    for evaluating in (False, True):
        with torch.set_grad_enabled(not evaluating):
            together, apart = (
                network(z),
                torch.stack([torch.stack([network(row) for row in part]) for part in z]),
            )
            torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("body", ["mlp", "conv"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_pixel_is_seen_and_every_output_depends_on_z(body: str, shape: Shape) -> None:
    """No row or column is lost at the border, odd sizes included."""
    x = draws(1, *shape).requires_grad_()
    encoder(body, shape)[0](x).square().sum().backward()
    assert x.grad is not None
    assert bool((x.grad != 0).all())
    network = decoder(body, shape, 2)
    one, other = network(draws(2, 3))
    assert bool((one != other).all())


def test_chunks_are_whole_images_in_the_order_channel_row_column() -> None:
    network = decoder("conv", (2, 5, 7), 3)
    assert isinstance(network, ConvDecoder)
    z = draws(4, 3)
    images = network.layers(network.first(z).unflatten(1, network.smallest))
    assert images.shape == (4, 6, 5, 7)
    for i, chunk in enumerate(network(z).chunk(3, -1)):
        assert torch.equal(chunk.reshape(4, 2, 5, 7), images[:, 2 * i : 2 * i + 2])


def test_transposed_convolutions_cover_the_inside_evenly() -> None:
    """With equal weights and a constant input, no pixel inside is brighter: no checkerboard."""
    network = decoder("conv", (1, 16, 16), 1, channels=[1])
    assert isinstance(network, ConvDecoder)
    with torch.no_grad():
        for parameter in network.layers.parameters():
            parameter.fill_(1.0)
        image = network.layers(torch.ones(1, 1, 8, 8))
    assert image[..., 1:-1, 1:-1].unique().numel() == 1


def test_mlp_is_the_layers_it_names() -> None:
    network = decoder("mlp", (1, 4, 4), 1, activation="relu")
    first, second, third = (layer for layer in network.modules() if isinstance(layer, nn.Linear))
    z = draws(5, 3)
    expected = third(torch.relu(second(torch.relu(first(z)))))
    torch.testing.assert_close(network(z), expected)
    assert (first.out_features, second.out_features) == (7, 9)


def test_more_halvings_than_pixels_are_refused() -> None:
    assert halvings(28, 20, 3) == [(28, 20), (14, 10), (7, 5), (3, 2)]
    for build in (encoder, lambda body, shape, **others: decoder(body, shape, 1, **others)):
        with pytest.raises(
            SettingsError, match=r"'channels' has 4 entries.* 8x9 image can be halved 3 times"
        ):
            build("conv", (1, 8, 9), channels=[2, 2, 2, 2])


def test_a_body_without_channels_or_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="channels"):
        settings("conv", channels=[])
    with pytest.raises(ValidationError, match="'mlp' or 'conv'"):
        settings("resnet")
