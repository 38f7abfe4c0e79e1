"""Training passes of pixel-by-pixel models: compiled, and piece by piece."""

from __future__ import annotations

import functools
import importlib.util
import shutil

import pytest
import torch
from pixelwise import FAMILIES, images, make
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.errors import CapabilityError
from dgmbench.models.autoregressive import pixelwise as autoregressive
from dgmbench.models.autoregressive import training_passes
from dgmbench.models.autoregressive.training_passes import piece_count, require_compiler


@pytest.mark.parametrize("family", ["pixelcnn", "gated_pixelcnn"])
def test_a_batch_in_pieces_without_parameters_to_train_has_a_loss(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(family, "binary", (1, 4, 4), 2)
    x = images(9, (1, 4, 4), 2).float()
    expected = -model.log_prob(x).mean()
    monkeypatch.setattr("dgmbench.models.autoregressive.training_passes.LEAST_PIECE", 2)
    monkeypatch.setattr(type(model), "piece_pixels", 32)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    torch.testing.assert_close(model.step(Batch(x), "model", torch.Generator())["loss"], expected)


def trained_and_compiled(family: str, device: str) -> list[list[Tensor]]:
    """Losses and parameters after three steps on batches of two sizes, uncompiled and compiled."""
    small = {"blocks" if "pixelcnn" in family else "layers": 1}
    results = []
    for compile_it in (False, True):
        model = make(family, "binary", (1, 4, 4), 2, compile=compile_it, **small).to(device).train()
        optimiser = torch.optim.SGD(model.parameters(), 1e-3)
        losses = []
        for n in (3, 3, 2):
            optimiser.zero_grad()
            x = images(n, (1, 4, 4), 2, seed=n).float().to(device)
            losses.append(model.step(Batch(x), "model", torch.Generator())["loss"])
            losses[-1].backward()
            optimiser.step()
        results.append([torch.stack(losses).detach(), *model.parameters()])
    return results


@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_steps_give_the_same_numbers(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced in one piece and differentiated ahead of time as on a GPU; only no code is generated: slow."""
    monkeypatch.setattr(autoregressive, "require_compiler", lambda device: None)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    for one, other in zip(*trained_and_compiled(family, "cpu"), strict=True):
        torch.testing.assert_close(other, one)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("family", FAMILIES)
def test_steps_in_cuda_graphs_give_the_same_numbers(family: str) -> None:
    for one, other in zip(*trained_and_compiled(family, "cuda"), strict=True):
        torch.testing.assert_close(other, one, atol=1e-4, rtol=1e-4)


def test_training_compiled_is_refused_where_there_is_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    model = make("pixelcnn", "binary", (1, 4, 4), 2, compile=True).train()
    with pytest.raises(CapabilityError, match=r"compile: true needs a C\+\+ compiler .* leave it at false"):
        model.log_prob(images(2, (1, 4, 4), 2))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CapabilityError, match="needs Triton for 'cuda'"):
        require_compiler(torch.device("cuda"))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_compiled_model_is_scored_and_sampled_without_a_compiler(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    compiled, eager = (
        make(family, "binary", (1, 4, 4), 2, compile=compile_it) for compile_it in (True, False)
    )
    x = images(3, (1, 4, 4), 2)
    assert torch.equal(compiled.log_prob(x), eager.log_prob(x))
    assert torch.equal(*(m.sample(2, torch.Generator().manual_seed(0)) for m in (compiled, eager)))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("images_at_once", [3, 5, 20])
def test_a_batch_in_pieces_has_the_loss_and_gradient_of_the_batch(
    family: str, images_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces of unequal size too; the factor stands for what a caller does with the loss."""
    monkeypatch.setattr(training_passes, "LEAST_PIECE", 1)
    model, x = make(family, "gray", (1, 4, 5), 7).double(), images(10, (1, 4, 5), 7)
    gradients, losses = [], []
    for pixels in (None, 20 * images_at_once):
        monkeypatch.setattr(type(model), "piece_pixels", pixels)
        assert piece_count(x, model.piece_pixels) == (1 if pixels is None else -(-10 // images_at_once))
        losses.append(model.step(Batch(x), "model", torch.Generator())["loss"])
        gradients.append(torch.autograd.grad(3 * losses[-1], list(model.parameters())))
    torch.testing.assert_close(losses[1], losses[0])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        torch.testing.assert_close(
            model.step(Batch(x), "model", torch.Generator())["loss"], losses[0].detach()
        )
