"""The objective of auto-encoders: errors, penalties, corruption, and the linear case."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from small_autoencoders import BODIES, LEVELS, batch, budget, generator, images, make, run
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.models.autoencoders.reconstruction import rate_divergence


def test_errors_are_cross_entropy_and_squared_error_summed_over_pixels() -> None:
    model, x = make("binary"), batch("binary")
    expected = -torch.distributions.Bernoulli(probs=model.decode(model.encode(x))).log_prob(x)
    torch.testing.assert_close(model.reconstruction_error(x, x), expected.sum((1, 2, 3)))
    model, x = make("gray"), batch("gray")
    expected = (x - model.decode(model.encode(x))).square()
    torch.testing.assert_close(model.reconstruction_error(x, x), expected.sum((1, 2, 3)))


@pytest.mark.parametrize("view", ["binary", "gray"])
def test_plain_objective_is_the_error_and_decay_adds_the_decoder_s_squares(view: str) -> None:
    model, x = make(view, decoder_decay=0.1), batch(view)
    error = model.reconstruction_error(x, x).mean()
    squares = sum(
        float(p.detach().square().sum()) for n, p in model.decoder.named_parameters() if "weight" in n
    )
    torch.testing.assert_close(model.validation_losses(Batch(x), generator())["loss"], error)
    torch.testing.assert_close(model.step(Batch(x), "model", generator())["loss"], error + 0.1 * squares)


@pytest.mark.parametrize("body", BODIES)
def test_contractive_penalty_is_the_autograd_jacobian_in_pixel_units(body: str) -> None:
    model = make(regulariser="contractive", penalty=0.3, **BODIES[body]).double()
    x = batch("gray").double()
    jacobian = torch.stack(
        [torch.autograd.functional.jacobian(lambda u: model.encode(u[None])[0], image) for image in x]
    )
    norms = jacobian.flatten(1).square().sum(1)
    torch.testing.assert_close(model.contraction(x), norms)
    losses = model.step(Batch(x), "model", generator())
    torch.testing.assert_close(losses["loss"], losses["reconstruction"] + 0.3 * norms.mean())
    some = make(regulariser="contractive", penalty=0.3, penalty_images=4, **BODIES[body]).double()
    torch.testing.assert_close(some.step(Batch(x), "model", generator())["penalty"], norms[:4].mean())


def test_sparse_penalty_is_the_divergence_from_the_target_rate() -> None:
    model, x = make(regulariser="sparse", penalty=2.0, target_rate=0.1), batch("gray")
    code = model.encode(x)
    assert bool(((code > 0) & (code < 1)).all())
    target, rate = (torch.distributions.Bernoulli(probs=p) for p in (torch.tensor(0.1), code.mean(0)))
    expected = torch.distributions.kl_divergence(target, rate).sum()
    torch.testing.assert_close(rate_divergence(code, 0.1), expected)
    losses = model.step(Batch(x), "model", generator())
    torch.testing.assert_close(losses["loss"], losses["reconstruction"] + 2 * expected)


def test_sparse_training_makes_codes_that_are_seldom_on() -> None:
    """Lifetime activity (mean rate)^2 / mean squared rate: 1 for a constant code, small for a sparse one."""
    rates, activity = [], []
    for penalty in (0.0, 0.3):
        model = make(regulariser="sparse", penalty=penalty, latent_dim=8, hidden=[20], **budget(40, 0.01))
        run(model)
        with torch.no_grad():
            code = model.encode((images().train.raw.float() + 0.5) / LEVELS)
        rates.append(float(code.mean()))
        activity.append(float((code.mean(0).square() / code.square().mean(0)).mean()))
    assert rates[1] < 0.15 < 0.4 < rates[0]
    assert activity[1] < 0.75 * activity[0]


def test_contractive_training_shrinks_the_jacobian_in_units_of_the_code() -> None:
    ratios = []
    for penalty in (0.0, 0.1):
        model = make(regulariser="contractive", penalty=penalty, decoder_decay=1e-3, **budget(40, 0.01))
        run(model)
        x = (images().train.raw.float() + 0.5) / LEVELS
        with torch.no_grad():
            ratios.append(float(model.contraction(x).mean() / model.encode(x).var(0).sum()))
    assert ratios[1] < 0.8 * ratios[0]


def test_denoising_objective_is_the_error_of_x_from_its_corruption() -> None:
    model, x = make(regulariser="denoising", corruption_level=0.4), batch("gray")
    expected = model.reconstruction_error(x, model.corrupt(x, generator(7))).mean()
    torch.testing.assert_close(model.step(Batch(x), "model", generator(7))["loss"], expected)
    assert float(model.validation_losses(Batch(x), generator(7))["clean"].detach()) < float(expected.detach())


@pytest.mark.parametrize("view", ["binary", "gray"])
def test_walkback_averages_the_errors_along_the_model_s_own_chain(view: str) -> None:
    settings: dict[str, Any] = {"regulariser": "denoising", "corruption": "masking"}
    model, x, noise = make(view, walkback=1, **settings), batch(view), generator(7)
    seen = model.corrupt(x, noise)
    first = model.reconstruction_error(x, seen).mean()
    mean = model.decode(model.encode(seen)).detach()
    walked = model.pixels(mean, first.detach() / 16, noise)
    second = model.reconstruction_error(x, model.corrupt(walked, noise)).mean()
    torch.testing.assert_close(model.step(Batch(x), "model", generator(7))["loss"], (first + second) / 2)
    # Epochs and entries are compared without it.
    torch.testing.assert_close(model.validation_losses(Batch(x), generator(7))["loss"], first)


def test_a_linear_auto_encoder_loses_what_principal_components_lose() -> None:
    """Baldi & Hornik 1989: with linear maps and squared error, the optimum spans the leading components."""
    x = (torch.randn(80, 16, generator=generator(4)) @ torch.randn(16, 16, generator=generator(5))).double()
    settings: dict[str, Any] = {"hidden": [], "mean": "identity", "latent_dim": 4}
    model = make(**settings).double()
    shaped = x.reshape(-1, 1, 4, 4)
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=400, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = model.step(Batch(shaped), "model", generator())["loss"]
        loss.backward()
        return loss

    optimiser.step(closure)
    lost = torch.linalg.svdvals(x - x.mean(0))[4:].square().sum() / len(x)
    assert math.isclose(float(closure().detach()), float(lost), rel_tol=1e-5)
