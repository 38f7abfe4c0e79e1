"""Pixels: levels, binarisation, dequantisation, and bits per dimension."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmbench.data.pixels import (
    binarise,
    bits_per_dim,
    dequantise,
    intensity,
    nats_from_bits_per_dim,
    nats_from_levels,
    place,
    quantise,
)

EXTREME = [0.0, 1e-45, 2.0**-25, 2.0**-24, 2.0**-17, 0.5, 1 - 2.0**-17, 1 - 2.0**-24, 1.0]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def seeded(seed: int = 0, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def every_level(levels: int, copies: int = 1) -> torch.Tensor:
    return torch.arange(levels).to(torch.uint8).repeat_interleave(copies)


def assert_stays_in_its_level(v: torch.Tensor, images: torch.Tensor, levels: int) -> None:
    """floor(v L) = k by every road that a reader may take."""
    assert v.dtype == torch.float32
    assert float(v.min()) > 0 and float(v.max()) < 1
    k = images.long()
    assert torch.equal((v * levels).floor().long(), k)
    assert torch.equal((v.double() * levels).floor().long(), k)
    numpy = v.cpu().numpy()
    np.testing.assert_array_equal(np.floor(numpy * np.float32(levels)), k.cpu().numpy())
    np.testing.assert_array_equal(np.floor(numpy.astype(np.float64) * levels), k.cpu().numpy())
    assert torch.equal(quantise(v, levels), images)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("levels", [2, 3, 5, 16, 17, 31, 100, 129, 255, 256])
def test_dequantised_values_stay_in_their_level_at_extreme_draws(levels: int, device: str) -> None:
    images = every_level(levels, len(EXTREME)).to(device)
    uniform = torch.tensor(EXTREME, dtype=torch.float32, device=device).repeat(levels)
    assert_stays_in_its_level(place(images, uniform, levels), images, levels)


@settings(deadline=None)
@given(st.integers(2, 256), st.floats(0, 1, width=32))
def test_dequantised_values_stay_in_their_level_at_any_draw(levels: int, u: float) -> None:
    images = every_level(levels)
    assert_stays_in_its_level(place(images, torch.full((levels,), u), levels), images, levels)


def test_a_product_with_the_reciprocal_stays_in_its_level_too() -> None:
    """CUDA divides by a number by multiplying with its reciprocal, which errs once more."""
    for levels in range(2, 257):
        images = every_level(levels, len(EXTREME))
        margin = levels * 2.0**-22
        u = torch.tensor(EXTREME).repeat(levels).clamp(margin, 1 - margin)
        v = (images + u) * (torch.tensor(1.0) / levels)
        assert torch.equal((v * levels).floor().long(), images.long())
        assert torch.equal((v.double() * levels).floor().long(), images.long())


@pytest.mark.parametrize("levels", [17, 256])
def test_dequantisation_is_uniform_within_the_level(levels: int) -> None:
    images = every_level(levels, 4000)
    u = dequantise(images, levels, seeded()).double() * levels - images
    # Moments of the uniform distribution, at five standard errors.
    n = len(images)
    assert abs(u.mean() - 1 / 2) < 5 * math.sqrt(1 / 12 / n)
    assert abs((u**2).mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / n)
    counts = torch.histc(u, 10, 0, 1)
    assert float(((counts - n / 10) ** 2 / (n / 10)).sum()) < 40  # chi-square with 9 degrees of freedom


def test_place_leaves_ordinary_draws_alone() -> None:
    images = every_level(256)
    uniform = torch.rand(256, generator=seeded()).clamp(0.001, 0.999)
    assert torch.equal(place(images, uniform, 256), (images + uniform) / 256)
    assert float(place(images, torch.zeros(256), 256)[3]) == pytest.approx(3 / 256, abs=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_binarise_draws_with_the_right_probability(device: str) -> None:
    images = every_level(17, 20_000).reshape(17, 20_000).to(device)
    drawn = binarise(images, 17, seeded(device=device))
    assert drawn.dtype == torch.float32
    assert set(drawn.flatten().tolist()) == {0.0, 1.0}
    assert float(drawn[0].max()) == 0 and float(drawn[16].min()) == 1
    errors = drawn.mean(1) - torch.arange(17, device=device) / 16
    assert float(errors.abs().max()) < 5 * 0.5 / math.sqrt(20_000)


def test_the_top_level_is_always_one_whatever_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    top = 1 - 2.0**-24  # the largest float32 that torch.rand gives
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, top))
    for levels in range(3, 257):
        assert float(binarise(torch.tensor([levels - 1], dtype=torch.uint8), levels)) == 1


def test_binarise_leaves_two_level_images_and_the_generator_alone() -> None:
    images = torch.tensor([[0, 1], [1, 0]], dtype=torch.uint8)
    generator = seeded()
    before = generator.get_state()
    assert torch.equal(binarise(images, 2, generator), images.float())
    assert torch.equal(generator.get_state(), before)


def test_quantise_clips_unbounded_samples_to_the_ends() -> None:
    v = torch.tensor([-3.0, -1e-9, 0.0, 0.5, 1.0, 1.5, 1e9])
    assert quantise(v, 17).tolist() == [0, 0, 0, 8, 16, 16, 16]


def test_intensity_runs_from_zero_to_one() -> None:
    values = intensity(every_level(17), 17)
    assert values.dtype == torch.float32
    np.testing.assert_allclose(values.numpy(), np.linspace(0, 1, 17), rtol=1e-6)


@pytest.mark.parametrize(("dims", "levels"), [(64, 17), (784, 256)])
def test_bits_per_dim_of_known_models(dims: int, levels: int) -> None:
    # Uniform noise: density 1 on the unit cube.
    assert bits_per_dim(0.0, dims, levels) == pytest.approx(math.log2(levels))
    # A model that is certain of the image: P(k) = 1.
    assert bits_per_dim(nats_from_levels(0.0, dims, levels), dims, levels) == pytest.approx(0)
    # One fair coin a pixel: P(k) = 2^-d.
    coin = nats_from_levels(-dims * math.log(2), dims, levels)
    assert bits_per_dim(coin, dims, levels) == pytest.approx(1)


@settings(deadline=None)
@given(st.floats(-1e5, 1e5), st.integers(1, 4000), st.integers(2, 256))
def test_bits_per_dim_has_an_inverse(nats: float, dims: int, levels: int) -> None:
    back = nats_from_bits_per_dim(bits_per_dim(nats, dims, levels), dims, levels)
    assert back == pytest.approx(nats, rel=1e-9, abs=1e-6)


def test_bits_per_dim_takes_arrays_and_tensors() -> None:
    nats = [0.0, 100.0]
    expected = [bits_per_dim(value, 64, 17) for value in nats]
    np.testing.assert_allclose(bits_per_dim(np.array(nats), 64, 17), expected)
    np.testing.assert_allclose(bits_per_dim(torch.tensor(nats), 64, 17).numpy(), expected, rtol=1e-6)
