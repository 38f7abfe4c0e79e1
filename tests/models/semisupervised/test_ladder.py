"""The ladder network's Gamma model: its combinator, the denoising cost by hand, and what the model does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from partial import CLASSES, LEVELS, SHAPE, generator, learn, partial_batch, quadrants

from dgmbench.data.schema import image_schema
from dgmbench.models.capabilities import CanEncode, CanPredict
from dgmbench.models.semisupervised.denoising import VanillaCombinator, standardised
from dgmbench.models.semisupervised.ladder import Ladder, LadderSettings, Top, denoising_cost


def test_the_combinator_gives_0_at_its_initialisation() -> None:
    combinator = VanillaCombinator(3)
    noisy, above = torch.randn(5, 3, generator=generator()), torch.randn(5, 3, generator=generator(1))
    assert torch.equal(combinator(noisy, above), torch.zeros(5, 3))
    assert combinator.a[:, 0].tolist() == [0, 1, 0, 0, 0, 0, 1, 0, 0, 0]


def test_the_combinator_is_that_of_the_paper() -> None:
    combinator = VanillaCombinator(1)
    with torch.no_grad():
        combinator.a.copy_(torch.arange(1.0, 11.0)[:, None] / 10)
    u, z = 0.7, -1.3

    def sigmoid(value: float) -> float:
        return float(torch.sigmoid(torch.tensor(value, dtype=torch.float64)))

    mean = 0.1 * sigmoid(0.2 * u + 0.3) + 0.4 * u + 0.5
    gain = 0.6 * sigmoid(0.7 * u + 0.8) + 0.9 * u + 1.0
    found = combinator(torch.tensor([[z]]), torch.tensor([[u]]))
    assert float(found.detach()) == pytest.approx((z - mean) * gain + mean, rel=1e-5)


def test_values_are_standardised_over_the_batch() -> None:
    values, mean, variance = standardised(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    torch.testing.assert_close(values, torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    assert mean.tolist() == [2.0, 5.0] and variance.tolist() == [1.0, 0.0]


def test_the_denoising_cost_corrects_the_estimate_by_the_clean_batch_norm() -> None:
    combinator = VanillaCombinator(1)
    with torch.no_grad():
        # mu = 0 and v = 1: the estimate is the noisy value itself.
        combinator.a[9] = 1.0
    clean_values = torch.tensor([[1.0], [-1.0]])
    clean = Top(clean_values, torch.tensor([2.0]), torch.tensor([4.0]), clean_values, clean_values)
    noisy_values = torch.tensor([[4.0], [-2.0]])
    noisy = Top(noisy_values, torch.zeros(1), torch.ones(1), noisy_values, noisy_values)
    # (4 - 2)/2 = 1 and (-2 - 2)/2 = -2 against 1 and -1.
    assert float(denoising_cost(combinator, clean, noisy).detach()) == pytest.approx(0.5)


def make(**others: Any) -> Ladder:
    settings = LadderSettings.model_validate(
        {"family": "ladder", "view": "gray", "hidden": [32, 16]} | others
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Ladder(settings, image_schema(SHAPE, LEVELS, CLASSES))


def test_without_noise_both_passes_are_one_and_an_identity_has_no_cost() -> None:
    model = make(noise=0.0).train()
    x = partial_batch(model, *quadrants(40, 1), 8).x[:40].flatten(1).float() / (LEVELS - 1)
    with torch.no_grad():
        clean, noisy = (model.encoder(x, each, 0.0, keep=False) for each in (None, generator()))
        torch.testing.assert_close(clean.values, noisy.values)
        # v = sqrt(variance) and mu = mean/(1 - v) give an estimate of z sqrt(variance) + mean.
        spread = clean.variance.sqrt()
        model.combinator.a[9] = spread
        model.combinator.a[4] = clean.mean / (1 - spread)
        assert float(denoising_cost(model.combinator, clean, noisy)) == pytest.approx(0.0, abs=1e-6)


def test_the_clean_top_is_standardised_and_labelled_images_have_a_batch_of_their_own() -> None:
    model = make().train()
    batch = partial_batch(model, *quadrants(40, 1), 8)
    x = batch.x.flatten(1).float() / (LEVELS - 1)
    with torch.no_grad():
        for part in (x[:40], x[40:]):
            top = model.encoder(part, None, 0.3, keep=False)
            torch.testing.assert_close(top.values.mean(0), torch.zeros(CLASSES), atol=1e-5, rtol=0)
            torch.testing.assert_close(
                top.values.var(0, correction=0), torch.ones(CLASSES), atol=1e-3, rtol=0
            )


def test_the_loss_is_the_noisy_cross_entropy_and_the_weighted_cost() -> None:
    batch = partial_batch(make(), *quadrants(40, 1), 8)
    found = make(weight=3.0).train().step(batch, "model", generator())
    torch.testing.assert_close(found["loss"], found["supervised"] + 3.0 * found["denoising"])
    noisy, clean = (make(noise=noise).train().step(batch, "model", generator()) for noise in (0.3, 0.0))
    assert not torch.equal(noisy["supervised"], clean["supervised"])


def test_running_moments_are_those_of_the_unlabelled_clean_pass() -> None:
    model = make().train()
    batch = partial_batch(model, *quadrants(40, 1), 8)
    model.step(batch, "model", generator())
    with torch.no_grad():
        outputs = model.encoder.linear[0](batch.x[:40].flatten(1).float() / (LEVELS - 1))
    torch.testing.assert_close(model.encoder.norms[0].running_mean, 0.1 * outputs.mean(0))
    assert int(model.encoder.norms[0].num_batches_tracked) == 1


def test_it_learns_a_separable_toy_of_two_labels_a_class() -> None:
    assert learn(make(), 100, 3e-3) < 5.0


def test_what_it_gives() -> None:
    model = make().eval()
    assert isinstance(model, CanPredict) and isinstance(model, CanEncode)
    x = partial_batch(model, *quadrants(40, 1), 8).x
    torch.testing.assert_close(model.predict(x).sum(1), torch.ones(48))
    torch.testing.assert_close(model.predict(x), model.predict(x))
    assert model.encode(x).shape == (48, 16)


def test_an_epoch_may_end_with_one_image() -> None:
    model = make().train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    losses = model.step(partial_batch(model, *quadrants(1, 1), 1), "model", generator())
    # One image has no variance: nothing is divided by it, and no running moment takes it in.
    assert float(losses["denoising"]) == 0.0
    assert float(losses["loss"].detach()) == pytest.approx(float(losses["supervised"].detach()))
    losses["loss"].backward()
    gradients = [value.grad for value in model.parameters() if value.grad is not None]
    assert max(float(each.abs().max()) for each in gradients) < 1e3
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
