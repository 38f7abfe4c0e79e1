"""The ladder network's Gamma model: its combinator, the denoising cost by hand, and what the model does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from partial import (
    CLASSES,
    LEVELS,
    SHAPE,
    assert_same_step,
    change,
    generator,
    intensities,
    learn,
    partial_batch,
    quadrants,
    randn,
)
from torch import Tensor

from dgmbench.data.batch import Batch
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


def test_the_denoising_cost_by_hand() -> None:
    combinator = VanillaCombinator(2)
    with torch.no_grad():
        # mu = u and v = 1/2: the estimate is the mean of the noisy value and the signal from above.
        combinator.a.zero_()
        combinator.a[3], combinator.a[9] = 1.0, 0.5
    values, other = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), torch.tensor([[0.0, 5.0], [2.0, 0.0]])
    clean = Top(values, torch.tensor([2.0, 0.0]), torch.tensor([4.0, 1.0]), other, values)
    # Probabilities 3/4 and 1/4 in turn are 1 and -1 over the batch.
    logits = torch.tensor([[math.log(3), 0.0], [0.0, math.log(3)]])
    noisy = Top(torch.tensor([[7.0, 3.0], [1.0, -3.0]]), torch.zeros(2), torch.ones(2), logits, values)
    # Estimates [[4, 1], [0, -1]]; by the clean batch norm [[1, 1], [-1, -1]]; errors [[0, 2], [0, -2]].
    assert float(denoising_cost(combinator, clean, noisy).detach()) == pytest.approx(2.0)


def make(**others: Any) -> Ladder:
    settings = LadderSettings.model_validate(
        {"family": "ladder", "view": "gray", "hidden": [32, 16]} | others
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Ladder(settings, image_schema(SHAPE, LEVELS, CLASSES))


def test_without_noise_both_passes_are_one_and_an_identity_has_no_cost() -> None:
    model = make(noise=0.0).train()
    x = intensities(partial_batch(model, *quadrants(40, 1), 8).x[:40])
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
    x = intensities(batch.x)
    with torch.no_grad():
        for part in (x[:40], x[40:]):
            top = model.encoder(part, None, 0.3, keep=False)
            torch.testing.assert_close(top.values.mean(0), torch.zeros(CLASSES), atol=1e-5, rtol=0)
            torch.testing.assert_close(
                top.values.var(0, correction=0), torch.ones(CLASSES), atol=1e-3, rtol=0
            )


@dataclass
class Pass:
    """z of the last layer, the moments that made it, its logits and the layer below."""

    z: Tensor
    mean: Tensor
    variance: Tensor
    logits: Tensor
    below: Tensor


def by_hand(model: Ladder, x: Tensor, deviation: float, noise: torch.Generator | None) -> Pass:
    """A pass, noisy if there is a generator; by running moments in evaluation."""

    def disturbed(values: Tensor) -> Tensor:
        return values if noise is None else values + deviation * randn(noise, *values.shape)

    net: Any = model.encoder
    h = disturbed(x)
    for linear, norm, bias in zip(net.linear, net.norms, net.biases, strict=True):
        below, a = h, h @ linear.weight.T
        mean, variance = norm.running_mean, norm.running_var
        if model.training:
            mean, variance = a.mean(0), a.var(0, correction=0)
        z = disturbed((a - mean) / variance.sqrt())
        h = (z + bias).clamp_min(0)
    return Pass(z, mean, variance, net.gain * (z + bias), below)


def step_by_hand(
    model: Ladder, batch: Batch, known: int, deviation: float, weight: float
) -> dict[str, Tensor]:
    """Gradients of the denoising cost go through both passes: no target is held (Rasmus et al. 2015)."""
    noise, x, n = generator(5), intensities(batch.x), len(batch) - known
    assert batch.label is not None
    log_p = by_hand(model, x[n:], deviation, noise).logits.log_softmax(1)
    supervised = -log_p[range(known), batch.label[n:]].mean()
    clean, noisy = by_hand(model, x[:n], 0.0, None), by_hand(model, x[:n], deviation, noise)
    p = noisy.logits.softmax(1)
    u = (p - p.mean(0)) / p.std(0, correction=0)
    estimate = model.combinator(noisy.z, u)
    denoising = ((estimate - clean.mean) / clean.variance.sqrt() - clean.z).square().mean()
    return {
        "loss": supervised + weight * denoising,
        "supervised": supervised,
        "denoising": denoising,
    }


def test_a_step_is_that_of_the_paper() -> None:
    model = make(weight=3.0, noise=0.4).train()
    change(model)
    batch = partial_batch(model, *quadrants(40, 1), 8)
    found = model.step(batch, "model", generator(5))
    assert_same_step(model, found, step_by_hand(model, batch, 8, 0.4, 3.0))


def test_running_moments_are_those_of_the_unlabelled_clean_pass() -> None:
    model = make().train()
    batch = partial_batch(model, *quadrants(40, 1), 8)
    model.step(batch, "model", generator())
    with torch.no_grad():
        outputs = model.encoder.linear[0](intensities(batch.x[:40]))
    torch.testing.assert_close(model.encoder.norms[0].running_mean, 0.1 * outputs.mean(0))
    assert int(model.encoder.norms[0].num_batches_tracked) == 1


def test_it_learns_a_separable_toy_of_two_labels_a_class() -> None:
    assert learn(make(), 100, 3e-3) < 5.0


def test_it_gives_what_a_clean_pass_gives() -> None:
    model = make()
    change(model)
    batch = partial_batch(model, *quadrants(40, 1), 8)
    model.train().step(batch, "model", generator())
    model.eval()
    assert isinstance(model, CanPredict) and isinstance(model, CanEncode)
    clean = by_hand(model, intensities(batch.x), 0.0, None)
    torch.testing.assert_close(model.predict(batch.x), clean.logits.softmax(1))
    torch.testing.assert_close(model.encode(batch.x), clean.below)


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
