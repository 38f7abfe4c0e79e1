"""The semi-supervised GAN: who moves what, how it starts, what it learns and what it gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from killing import killed_at
from partial import (
    CLASSES,
    LEVELS,
    SHAPE,
    assert_same_step,
    change,
    examples,
    generator,
    intensities,
    learn,
    partial_batch,
    quadrants,
    randn,
)
from torch import Tensor

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.capabilities import CanEncode, CanPredict, CanSample
from dgmbench.models.hooks import StartsFromExamples
from dgmbench.models.semisupervised.ssgan import SSGAN, SSGANSettings
from dgmbench.training.closed_form import train
from dgmbench.training.outcome import How, Outcome


def settings(**others: Any) -> SSGANSettings:
    small = {
        "generator_hidden": [16],
        "discriminator_hidden": [32, 16],
        "latent_dim": 8,
        "first_images": 40,
        "average": 0.0,
    }
    return SSGANSettings.model_validate({"family": "ssgan", "view": "gray"} | small | others)


def make(**others: Any) -> SSGAN:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SSGAN(settings(**others), image_schema(SHAPE, LEVELS, CLASSES))


def batch_of(model: SSGAN, n: int = 40, known: int = 8) -> Batch:
    return partial_batch(model, *quadrants(n, 1), known)


def started(**others: Any) -> SSGAN:
    model = make(**others)
    model.start_from(model.view.batch(quadrants(40, 1)[0], generator()), generator(3))
    return model


def test_each_phase_moves_its_own_network_alone() -> None:
    model = started()
    for phase, own, other in (
        ("discriminator", model.discriminator, model.generator),
        ("generator", model.generator, model.discriminator),
    ):
        model.zero_grad(set_to_none=True)
        model.step(batch_of(model), phase, generator())["loss"].backward()
        assert all(parameter.grad is not None for parameter in own.parameters())
        assert all(parameter.grad is None for parameter in other.parameters())
        assert list(model.phase_parameters(phase)) == list(own.parameters())


def normed(layer: Any, x: Tensor) -> Tensor:
    """A weight-normalised layer."""
    return x @ (layer.direction / layer.direction.norm(dim=1, keepdim=True)).T * layer.scale + layer.bias


def generated(net: Any, n: int, noise: torch.Generator) -> Tensor:
    h = torch.rand((n, 8), generator=noise)
    for linear, bias in zip(net.linear, net.biases, strict=True):
        a = h @ linear.weight.T
        h = F.softplus((a - a.mean(0)) / (a.var(0, correction=0) + 1e-6).sqrt() + bias)
    return normed(net.pixels, h).sigmoid()


def features(net: Any, x: Tensor, noise: torch.Generator) -> Tensor:
    """The last hidden layer by noise of 0.2 on pixels and 0.7 before the second layer."""
    for layer, deviation in zip(net.layers, (0.2, 0.7), strict=True):
        x = normed(layer, x + deviation * randn(noise, *x.shape)).clamp_min(0)
    return x


def discriminator_by_hand(model: SSGAN, batch: Batch, known: int) -> dict[str, Tensor]:
    """Of K+1 classes, the last logit 0; real against generated images weighs 2.5."""
    noise, x, n, net = generator(5), intensities(batch.x), len(batch) - known, model.discriminator
    assert batch.label is not None
    drawn = generated(model.generator, n, noise).detach()
    h = features(net, torch.cat([x[:n], drawn, x[n:]]), noise)
    logits = normed(net.logits, h + 0.7 * randn(noise, *h.shape))
    odds = logits.exp().sum(1)
    real, fake = (odds / (1 + odds))[:n], (1 / (1 + odds))[n : 2 * n]
    unsupervised = -0.5 * real.log().mean() - 0.5 * fake.log().mean()
    rows = 2 * n + torch.arange(known)
    supervised = -(logits.exp()[rows, batch.label[n:]] / odds[rows]).log().mean()
    return {
        "loss": supervised + 2.5 * unsupervised,
        "supervised": supervised,
        "unsupervised": unsupervised,
    }


def generator_by_hand(model: SSGAN, batch: Batch, known: int) -> dict[str, Tensor]:
    """Means of the last hidden layer, of images and of generated ones, with noise of their own."""
    noise, x = generator(5), intensities(batch.x)[: len(batch) - known]
    drawn = generated(model.generator, len(x), noise)
    real, fake = (features(model.discriminator, each, noise).mean(0) for each in (x, drawn))
    return {"loss": (real - fake).square().mean()}


def test_a_step_is_that_of_the_paper() -> None:
    model = started(input_noise=0.2, hidden_noise=0.7, unlabelled_weight=2.5).train()
    change(model)
    batch = batch_of(model)
    found = model.step(batch, "discriminator", generator(5))
    expected = discriminator_by_hand(model, batch, 8)
    assert_same_step(model.discriminator, found, expected)
    found, expected = model.step(batch, "generator", generator(5)), generator_by_hand(model, batch, 8)
    assert_same_step(model.generator, found, expected)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_it_starts_with_logits_of_mean_0_and_deviation_1(noise: float) -> None:
    """By the noise that it starts with."""
    model = started(input_noise=noise, hidden_noise=noise)
    x = model.view.batch(quadrants(40, 1)[0], generator()).x
    with torch.no_grad():
        _, logits = model.discriminator(intensities(x), generator(3))
    torch.testing.assert_close(logits.mean(0), torch.zeros(CLASSES), atol=1e-4, rtol=0)
    torch.testing.assert_close(logits.std(0, correction=0), torch.ones(CLASSES), atol=1e-4, rtol=0)


def test_its_start_is_repeatable_and_follows_from_the_images() -> None:
    one, two, other = started(), started(), make()
    other.start_from(other.view.batch(quadrants(40, 9)[0], generator()), generator(3))
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert not torch.equal(one.discriminator.logits.scale, other.discriminator.logits.scale)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_it_learns_a_separable_toy_of_two_labels_a_class(average: float) -> None:
    assert learn(started(average=average), 150, 3e-3) < 5.0


def test_predictions_come_from_the_average_where_there_is_one() -> None:
    model = started(average=0.5)
    x = batch_of(model).x
    plain = model.discriminator(model.flat(x))[1].softmax(1)
    torch.testing.assert_close(model.predict(x), plain)
    with torch.no_grad():
        model.after_step("discriminator")
        for parameter in model.discriminator.parameters():
            parameter.mul_(-1)
    torch.testing.assert_close(model.predict(x), plain)


def test_what_it_gives() -> None:
    model = started().eval()
    assert isinstance(model, CanPredict) and isinstance(model, CanEncode)
    assert isinstance(model, CanSample) and isinstance(model, StartsFromExamples)
    x = batch_of(model).x
    h = intensities(x)
    for layer in model.discriminator.layers:
        h = normed(layer, h).clamp_min(0)
    torch.testing.assert_close(model.encode(x), h, rtol=1e-4, atol=1e-4)
    expected = normed(model.discriminator.logits, h).softmax(1)
    torch.testing.assert_close(model.predict(x), expected, rtol=1e-4, atol=1e-4)
    samples = model.sample(5, generator(2))
    assert samples.shape == (5, *SHAPE) and samples.dtype == torch.int64
    assert torch.equal(model.view.decode(samples), samples.to(torch.uint8))
    assert torch.equal(samples, model.sample(5, generator(2)))


def test_an_epoch_may_end_with_one_image() -> None:
    model = started()
    for phase in model.phases:
        assert torch.isfinite(model.step(batch_of(model, 1, 1), phase, generator())["loss"])


def test_labels_are_needed() -> None:
    with pytest.raises(SettingsError, match="needs a data set with labels"):
        SSGAN(settings(), image_schema(SHAPE, LEVELS))
    model = started()
    unlabelled = Batch(batch_of(model).x, torch.full((48,), UNKNOWN))
    with pytest.raises(ValueError, match="labelled images alone"):
        model.validation_losses(unlabelled, generator())


def trained(checkpoint: Path | None = None) -> tuple[SSGAN, Outcome]:
    training = {"epochs": 3, "batch_size": 16}
    model, budget = make(average=0.9), settings(training=training).training
    how = How(torch.device("cpu"), checkpoint=checkpoint, checkpoint_seconds=0.0, fingerprint="f", quiet=True)
    return model, train(model, examples(40, 4), budget, 0, how)


def test_a_resumed_training_gives_the_same_bits(tmp_path: Path) -> None:
    whole, expected = trained()
    with killed_at(5):
        trained(tmp_path / "seed-0.ckpt")
    resumed, outcome = trained(tmp_path / "seed-0.ckpt")
    assert outcome.history == expected.history
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


def test_the_generator_may_have_a_step_size_of_its_own() -> None:
    model = make(generator_rate=0.3)
    assert (model.rate_of("generator"), model.rate_of("discriminator")) == (0.3, 1.0)
