from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dgmbench.models.autoencoders.contraction import encoder_jacobian
from dgmbench.models.parts.bodies import BodySettings, build_encoder

CODES = 3
ENCODERS: dict[str, tuple[dict[str, Any], type[nn.Module]]] = {
    "linear": ({"hidden": []}, nn.Identity),
    "one layer": ({"hidden": []}, nn.Sigmoid),
    "mlp": ({"hidden": [7]}, nn.Identity),
    "deep mlp": ({"hidden": [8, 6], "activation": "gelu"}, nn.Sigmoid),
    "conv": ({"body": "conv", "channels": [3, 4], "activation": "softplus"}, nn.Identity),
    "conv of odd size": ({"body": "conv", "channels": [2, 3]}, nn.Sigmoid),
}


def make(name: str, seed: int = 0) -> tuple[nn.Sequential, Tensor]:
    """An encoder and images for it, both in double precision."""
    settings, squash = ENCODERS[name]
    shape = (2, 7, 5) if "odd" in name else (1, 4, 6)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body, width = build_encoder(BodySettings(family="x", view="gray", **settings), shape)
        encoder = nn.Sequential(body, nn.Linear(width, CODES), squash()).double()
        return encoder, torch.randn(5, *shape, dtype=torch.float64)


def by_autograd(encoder: nn.Module, x: Tensor) -> Tensor:
    """J of each image, ``[n, k, d]``, one entry of one image at a time."""
    rows = [
        torch.autograd.functional.jacobian(lambda image: encoder(image[None])[0], image, create_graph=True)
        for image in x
    ]
    return torch.stack(rows).flatten(2)


@pytest.mark.parametrize("name", ENCODERS)
def test_norm_and_gram_are_those_of_the_autograd_jacobian(name: str) -> None:
    encoder, x = make(name)
    found, expected = encoder_jacobian(encoder, x), by_autograd(encoder, x)
    torch.testing.assert_close(found.code, encoder(x))
    torch.testing.assert_close(found.squared_norm(), expected.square().sum((1, 2)))
    torch.testing.assert_close(found.gram(), expected @ expected.transpose(1, 2))


@pytest.mark.parametrize("name", ENCODERS)
def test_gradient_of_the_norm_is_that_of_the_autograd_jacobian(name: str) -> None:
    encoder, x = make(name)
    parameters = list(encoder.parameters())

    def gradients(norm: Tensor) -> list[Tensor]:
        found = torch.autograd.grad(norm, parameters, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]

    expected = gradients(by_autograd(encoder, x).square().sum())
    for ours, theirs in zip(
        gradients(encoder_jacobian(encoder, x).squared_norm().sum()), expected, strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    assert max(float(gradient.abs().max()) for gradient in expected) > 1e-3


def test_one_layer_has_the_closed_form_of_the_paper() -> None:
    """Rifai et al. 2011, eq. 3: sum_j (h_j (1 - h_j))^2 sum_i W_ji^2."""
    encoder, x = make("one layer")
    h, weight = encoder(x), encoder[1].weight
    expected = ((h * (1 - h)).square() * weight.square().sum(1)).sum(1)
    found = encoder_jacobian(encoder, x)
    torch.testing.assert_close(found.squared_norm(), expected)
    # No n x k x k array is made for a wide layer.
    assert found.rows.shape == h.shape


@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_without_gradients_the_numbers_are_the_same_and_nothing_is_recorded(name: str) -> None:
    encoder, x = make(name)
    expected = encoder_jacobian(encoder, x)
    with torch.no_grad():
        found = encoder_jacobian(encoder, x)
    assert not found.code.requires_grad and not found.gram().requires_grad
    torch.testing.assert_close(found.gram(), expected.gram().detach())
    torch.testing.assert_close(found.code, expected.code.detach())


def test_autocast_leaves_it_in_full_precision() -> None:
    encoder, x = make("mlp")
    encoder, x = encoder.float(), x.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = encoder_jacobian(encoder, x).squared_norm()
    torch.testing.assert_close(found, encoder_jacobian(encoder, x).squared_norm())


def test_a_layer_whose_jacobian_is_not_known_is_refused() -> None:
    with pytest.raises(TypeError, match="the Jacobian of MaxPool2d is not known here"):
        encoder_jacobian(
            nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6, 3)), make("mlp")[1].float()
        )
