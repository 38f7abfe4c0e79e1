"""Convolutions as matrices, against the convolutions."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from dgmbench.data.schema import image_schema
from dgmbench.models.adversarial.dcgan import DCGAN, DCGANSettings
from dgmbench.models.capabilities import HasMatrixForm
from dgmbench.models.parts import matrices
from dgmbench.models.parts.bodies import BodySettings, build_decoder
from dgmbench.models.parts.matrices import as_matrices


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def layers() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(
            nn.ConvTranspose2d(5, 4, 4, 2, 1, (1, 0)),
            nn.BatchNorm2d(4),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4, 3, 3, padding=1),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(3 * 7 * 6, 8, bias=False),
        ).double()
        made(normal(20, 5, 3, 3))  # moves the running statistics of the normalisation
    return made


def test_they_compute_the_same_function() -> None:
    network, x = layers(), normal(6, 5, 3, 3)
    dense = as_matrices(network, (5, 3, 3))
    assert dense is not None
    assert network.training
    assert sum(isinstance(layer, nn.Linear) for layer in dense) == 3
    torch.testing.assert_close(dense(x), network.eval()(x), rtol=1e-12, atol=1e-12)


def test_large_matrices_and_unknown_layers_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_matrices(nn.Sequential(*layers(), nn.Softmax(1)), (5, 3, 3)) is None
    monkeypatch.setattr(matrices, "MOST_ENTRIES", 5 * 9 * 4 * 42 - 1)
    assert as_matrices(layers(), (5, 3, 3)) is None


@pytest.mark.parametrize("size", [8, 9, 28])
def test_a_decoder_by_matrices_is_the_same_decoder(size: int) -> None:
    settings = BodySettings.model_validate({"family": "vae", "view": "binary", "body": "conv"})
    decoder = build_decoder(settings, 3, (1, size, size), 2).double()
    by_matrices, z = copy.deepcopy(decoder), normal(4, 6, 3)
    by_matrices.use_matrices()
    assert any(isinstance(layer, nn.ConvTranspose2d) for layer in by_matrices.modules()) == (size == 28)
    torch.testing.assert_close(by_matrices(z), decoder(z), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize(("size", "kept"), [(8, False), (28, True)])
def test_a_generator_by_matrices_draws_the_same_images(average: float, size: int, kept: bool) -> None:
    base = {"family": "dcgan", "view": "gray", "latent_dim": 6, "channels": [4, 300], "average": average}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DCGAN(DCGANSettings.model_validate(base), image_schema((1, size, size), 17))
        for _ in range(3):
            model.decode(torch.randn(20, 6))  # moves the statistics of the normalisation
            for parameter in model.generator.parameters():
                parameter.data += 0.1 * torch.randn_like(parameter)
            model.after_step("generator")
    model.double().eval()
    by_matrices, z = copy.deepcopy(model), normal(8, 6)
    for part in list(by_matrices.modules()):
        if isinstance(part, HasMatrixForm):
            part.use_matrices()
    assert any(isinstance(layer, nn.ConvTranspose2d) for layer in by_matrices.generator.modules()) == kept
    torch.testing.assert_close(by_matrices.decode(z), model.decode(z), rtol=1e-9, atol=1e-9)
