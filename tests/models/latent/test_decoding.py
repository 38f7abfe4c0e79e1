"""Fast decoding against torch's distributions, plain layers and finite differences."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli

from dgmbench.models.latent import decoding
from dgmbench.models.latent.decoding import bernoulli_log_prob, bernoulli_scorer, dense
from dgmbench.models.parts.mlp import mlp
from dgmbench.models.parts.observations import full_precision

PIXELS = [1, 2, 49, 63, 64, 65, 784, 3072]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def binary(*shape: int) -> Tensor:
    return (torch.rand(shape, generator=generator()) < 0.3).float()


def normal(*shape: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=generator())


def truth(x: Tensor, logits: Tensor) -> Tensor:
    return Bernoulli(logits=logits.double()).log_prob(x.double()).sum(-1)


def decoder(
    activation: str = "tanh", sizes: tuple[int, ...] = (20, 200, 200, 784)
) -> tuple[nn.Sequential, nn.Linear]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return mlp(list(sizes[:-1]), activation), nn.Linear(sizes[-2], sizes[-1])


def decoder_logits(layers: nn.Sequential, head: nn.Linear, z: Tensor) -> Tensor:
    return dense((*layers, head), z)


@pytest.fixture
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("pixels", PIXELS)
@pytest.mark.parametrize("scale", [0.01, 1.0, 10.0])
@pytest.mark.usefixtures("no_grad")
def test_it_is_the_bernoulli_density_in_single_precision(pixels: int, scale: float) -> None:
    x, logits = binary(4, pixels), normal(7, 4, pixels, scale=scale)
    expected = truth(x, logits)
    torch.testing.assert_close(bernoulli_log_prob(x, logits).double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("no_grad")
def test_a_trained_decoders_confidence_costs_no_digits() -> None:
    # Background at -12, strokes at +8, a few pixels wrong: sums of thousands of nats that nearly cancel.
    x = binary(50, 784)
    logits = torch.where(x > 0, 8.0, -12.0) + normal(20, 50, 784)
    logits *= torch.where(torch.rand(logits.shape, generator=generator()) < 0.01, -1.0, 1.0)
    expected = truth(x, logits)
    torch.testing.assert_close(bernoulli_log_prob(x, logits).double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("value", [0.0, 1e-4, 16.0, 60.0, 1e4])
@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.usefixtures("no_grad")
def test_extreme_logits_neither_vanish_nor_overflow(value: float, wrong: bool) -> None:
    x = binary(2, 3072)
    logits = (value * (2 * x - 1) * (-1 if wrong else 1)).expand(3, 2, 3072).clone()
    expected = truth(x, logits)
    # Half a unit in the last place of 1 for each pixel is all that a factor can be off.
    torch.testing.assert_close(
        bernoulli_log_prob(x, logits).double(), expected, rtol=1e-6, atol=3072 * 2**-24
    )


@pytest.mark.usefixtures("no_grad")
def test_gray_targets_are_weighed_as_in_the_cross_entropy() -> None:
    x, logits = torch.rand(4, 100, generator=generator()), normal(6, 4, 100, scale=3.0)
    expected = -torch.nn.functional.binary_cross_entropy_with_logits(
        logits, x.expand(6, 4, 100), reduction="none"
    ).sum(-1)
    torch.testing.assert_close(bernoulli_log_prob(x, logits), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("scratch", [1, 500, 2**18])
@pytest.mark.usefixtures("no_grad")
def test_leading_shapes_and_the_size_of_parts(
    shape: tuple[int, ...], scratch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "SCRATCH", scratch)
    x, logits = binary(4, 100), normal(*shape, 4, 100, scale=3.0)
    expected = truth(x, logits)
    assert expected.shape == (*shape, 4)
    torch.testing.assert_close(bernoulli_log_prob(x, logits).double(), expected, rtol=1e-6, atol=0)


def test_gradients_are_those_of_the_definition() -> None:
    x = torch.rand(3, 70, generator=generator()).requires_grad_()
    logits = normal(5, 3, 70, scale=3.0).requires_grad_()
    weights = normal(5, 3)
    ours = torch.autograd.grad((bernoulli_log_prob(x, logits) * weights).sum(), [x, logits])
    definition = x * torch.nn.functional.logsigmoid(logits) + (1 - x) * torch.nn.functional.logsigmoid(
        -logits
    )
    expected = torch.autograd.grad((definition.sum(-1) * weights).sum(), [x, logits])
    for mine, theirs in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits.detach(), normal(5, 3, 70, scale=3.0), rtol=0, atol=0)


def test_second_derivatives_too() -> None:
    x, logits = binary(3, 9), normal(2, 3, 9).requires_grad_()
    (first,) = torch.autograd.grad(bernoulli_log_prob(x, logits).sum(), logits, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), logits)
    mean = torch.sigmoid(logits.detach())
    torch.testing.assert_close(second, -mean * (1 - mean))


@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu", "softplus", "gelu"])
@pytest.mark.parametrize("shape", [(25, 32), (7, 11), (2, 3, 64), (1, 128), (13, 31), (640,)])
def test_logits_and_their_gradients_are_those_of_the_layers(activation: str, shape: tuple[int, ...]) -> None:
    layers, head = decoder(activation)
    z = normal(*shape, 20).requires_grad_()
    parameters = [z, *layers.parameters(), *head.parameters()]
    weights = normal(*shape, 784) / 28
    expected, ours = head(layers(z)), decoder_logits(layers, head, z)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    there = torch.autograd.grad((expected * weights).sum(), parameters)
    here = torch.autograd.grad((ours * weights).sum(), parameters)
    for mine, theirs in zip(here, there, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
    with torch.no_grad():
        assert torch.equal(decoder_logits(layers, head, z), ours)


def test_the_convolution_is_taken_where_it_pays_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    original = torch.nn.functional.conv2d

    def recording(images: Tensor, *rest: Tensor) -> Tensor:
        seen.append(tuple(images.shape))
        return original(images, *rest)

    monkeypatch.setattr(decoding.F, "conv2d", recording)
    network, small, double = decoder(), decoder(sizes=(3, 8, 64)), decoder()
    for layers in double:
        layers.double()
    decoder_logits(*network, normal(640, 20))  # one draw per image, as in a training step
    decoder_logits(*network, normal(1, 1009, 20))  # a prime number of rows cannot be cut
    decoder_logits(*small, normal(50, 16, 3))  # too little work
    decoder_logits(*double, normal(25, 32, 20).double())
    assert seen == []
    decoder_logits(*network, normal(50, 32, 20))
    assert seen == [(16, inputs, 1, 100) for inputs in (20, 200, 200)]


@pytest.mark.usefixtures("no_grad")
def test_under_autocast_logits_come_in_full_precision() -> None:
    layers, head = decoder()
    z, x = normal(25, 32, 20), binary(32, 784)
    exact = bernoulli_log_prob(x, decoder_logits(layers, head, z))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = full_precision(decoder_logits(layers, head, z))
        value = bernoulli_log_prob(x, logits)
    assert logits.dtype == value.dtype == torch.float32
    # bfloat16 has 8 bits: the layers did run in it, and the sum over pixels did not.
    assert 0 < float(((value - exact) / exact).abs().max()) < 1e-2


@pytest.mark.usefixtures("no_grad")
def test_inputs_are_left_alone_and_two_calls_give_the_same_bytes() -> None:
    layers, head = decoder()
    z, x = normal(25, 32, 20), binary(32, 784)
    before = [tensor.clone() for tensor in (z, x, *layers.parameters(), *head.parameters())]
    logits = decoder_logits(layers, head, z)
    kept = logits.clone()
    first, second = bernoulli_log_prob(x, logits), bernoulli_log_prob(x, decoder_logits(layers, head, z))
    assert torch.equal(logits, kept)
    assert first.numpy().tobytes() == second.numpy().tobytes()
    after = [z, x, *layers.parameters(), *head.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.usefixtures("no_grad")
def test_no_draws_give_no_values() -> None:
    layers, head = decoder()
    assert bernoulli_log_prob(binary(4, 784), decoder_logits(layers, head, normal(0, 4, 20))).shape == (0, 4)
    assert math.prod(decoder_logits(layers, head, normal(5, 0, 20)).shape) == 0


@pytest.mark.parametrize("activation", ["tanh", "relu", "softplus"])
@pytest.mark.parametrize("pixels", [8, 64, 784])
@pytest.mark.parametrize("offset", [False, True])
def test_a_scorer_gives_what_logits_and_density_give(activation: str, pixels: int, offset: bool) -> None:
    layers, head = decoder(activation, (20, 50, 30, pixels))
    shift = normal(pixels) if offset else None
    x, z = binary(5, pixels), normal(40, 5, 20)
    score = bernoulli_scorer(nn.Sequential(*layers, head), x, shift)
    assert score is not None
    logits = nn.Sequential(*layers, head).double()(z.double()) + (0 if shift is None else shift)
    torch.testing.assert_close(score(z).double(), truth(x, logits), rtol=1e-5, atol=1e-5)


def test_a_scorer_leaves_the_weights_alone() -> None:
    layers, head = decoder("tanh", (20, 50, 30, 64))
    before = [parameter.clone() for parameter in (*layers.parameters(), *head.parameters())]
    score = bernoulli_scorer(nn.Sequential(*layers, head), binary(5, 64))
    assert score is not None
    first, second = (score(normal(40, 5, 20)) for _ in range(2))
    assert torch.equal(first, second)
    after = [*layers.parameters(), *head.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("logit", [30.0, 90.0, 1e4])
@pytest.mark.parametrize("right", [True, False])
def test_a_scorer_survives_products_below_the_least_number(logit: float, right: bool) -> None:
    # Every pixel as sure as that: a product of eight improbable ones is zero in float32.
    head = nn.Linear(3, 64)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(logit)
    x = torch.full((2, 64), float(right))
    score = bernoulli_scorer(nn.Sequential(head), x)
    assert score is not None
    logits = torch.full((4, 2, 64), logit)
    torch.testing.assert_close(score(normal(4, 2, 3)).double(), truth(x, logits), rtol=1e-6, atol=1e-6)


def test_what_a_scorer_is_not_made_for_has_none() -> None:
    layers, head = decoder("tanh", (20, 50, 30, 64))
    network = nn.Sequential(*layers, head)
    assert bernoulli_scorer(network, 0.5 * binary(5, 64)) is None
    assert bernoulli_scorer(network, binary(5, 64).double()) is None
    assert bernoulli_scorer(nn.Sequential(*layers, head, nn.Tanh()), binary(5, 64)) is None
    assert bernoulli_scorer(nn.Sequential(*layers, nn.Linear(30, 63)), binary(5, 63)) is None
    assert bernoulli_scorer(nn.Conv2d(1, 1, 1), binary(5, 64)) is None
