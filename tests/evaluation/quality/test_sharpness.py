"""Spectra of images whose spectra are known: waves, noise, noise through a blur of known width."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from coded import Coder, PriorCoder, subject_of
from torch import Tensor

from dgmbench.evaluation.quality.sharpness import (
    edge_sharpness_ratio,
    frequencies,
    hann,
    high_frequency_ratio,
    high_frequency_share,
    power_spectrum,
    radial_spectrum,
    ratios,
    sharpness,
)

SIZES = [(1, 8, 8), (1, 28, 28), (1, 28, 20), (3, 32, 32)]


def noise(n: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def blurred(images: Tensor, width: float) -> Tensor:
    """Images through a periodic Gaussian blur of that standard deviation in pixels."""
    transfer = torch.exp(-2 * (math.pi * width * frequencies(*images.shape[-2:])).square())
    return torch.fft.ifft2(torch.fft.fft2(images) * transfer).real


def wave(height: int, width: int, down: float, right: float) -> Tensor:
    """One image: a wave of so many cycles per pixel in either direction."""
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    return (0.5 + 0.5 * torch.cos(2 * math.pi * (down * rows + right * columns) + 0.3))[None, None].double()


def test_power_is_that_of_the_sum_written_out() -> None:
    image = noise(1, 1, 6, 4)
    rows, columns = np.arange(6), np.arange(4)
    window = np.outer(np.sin(np.pi * (rows + 0.5) / 6) ** 2, np.sin(np.pi * (columns + 0.5) / 4) ** 2)
    pixels = image[0, 0].numpy()
    faded = window * (pixels - (window * pixels).sum() / window.sum())
    for k in range(6):
        for m in range(4):
            phases = np.exp(-2j * np.pi * (k * rows[:, None] / 6 + m * columns / 4))
            expected = abs((faded * phases).sum()) ** 2 / (window**2).sum()
            assert power_spectrum(image)[0, k, m] == pytest.approx(expected, abs=1e-12)
    assert power_spectrum(image)[0, 0, 0] < 1e-25


@pytest.mark.parametrize("shape", SIZES)
def test_white_noise_is_flat_at_its_variance(shape: tuple[int, int, int]) -> None:
    spectrum = radial_spectrum(0.3 * noise(1500, *shape) + 0.5)
    assert spectrum.frequency[-1] == 0.5 and spectrum.frequency[0] == 1 / min(shape[1:])
    # The mean that is taken away is felt in the first ring, which the window joins to frequency 0.
    power = spectrum.power[1:] / 0.09
    assert (power - 1).abs().max() < 0.06
    assert 0.5 < spectrum.power[0] / 0.09 < 1


@pytest.mark.parametrize("shape", SIZES)
def test_a_blur_multiplies_the_spectrum_by_its_transfer_function(shape: tuple[int, int, int]) -> None:
    """Up to the window, which smears each frequency over its neighbours in a way that can be written out."""
    height, width = shape[1:]
    spectrum = radial_spectrum(blurred(noise(1500, *shape), 0.6))
    transfer = torch.exp(-((2 * math.pi * 0.6 * frequencies(height, width)).square()))
    window = hann(height)[:, None] * hann(width)
    smear = torch.fft.fft2(window).abs().square() / window.square().sum() / (height * width)
    smeared = torch.fft.ifft2(torch.fft.fft2(smear) * torch.fft.fft2(transfer)).real
    rings = (frequencies(height, width) * min(height, width)).round()
    expected = torch.stack([smeared[rings == k + 1].mean() for k in range(len(spectrum.power))])
    assert (spectrum.power / expected - 1)[1:].abs().max() < 0.06
    if min(height, width) > 20:  # a window wide enough for the plain transfer function to show
        plain = torch.exp(-((2 * math.pi * 0.6 * spectrum.frequency).square()))
        assert (spectrum.power / plain - 1)[1:].abs().max() < 0.1


@pytest.mark.parametrize("shape", SIZES)
def test_more_blur_gives_less_and_noise_more(shape: tuple[int, int, int]) -> None:
    real = blurred(noise(200, *shape), 0.5)
    ratios = [high_frequency_ratio(blurred(real, width), real).ratio for width in (0.9, 0.6, 0.3)]
    noisy = high_frequency_ratio(real + 0.3 * noise(200, *shape, seed=1), real).ratio
    assert 0 < ratios[0] < ratios[1] < ratios[2] < 0.99 < 1.01 < noisy


@pytest.mark.parametrize("shape", SIZES)
def test_equal_sets_have_the_ratio_one(shape: tuple[int, int, int]) -> None:
    images = (noise(50, *shape) > 0.5).float()
    result = high_frequency_ratio(images, images.flip(0))
    assert result.ratio == pytest.approx(1.0, abs=1e-12)
    assert 0 < result.std_error < 0.1


@pytest.mark.parametrize(
    ("down", "right", "share"), [(1 / 16, 0.0, 0.0), (0.0, 0.125, 0.0), (0.375, 0.0, 1.0), (0.25, 0.25, 1.0)]
)
def test_a_wave_has_its_energy_at_its_frequency(down: float, right: float, share: float) -> None:
    image = wave(32, 32, down, right)
    assert high_frequency_share(image) == pytest.approx(share, abs=1e-6)
    power = power_spectrum(image)[0]
    row, column = divmod(int(power.argmax()), 32)
    assert frequencies(32, 32)[row, column] == pytest.approx(math.hypot(down, right))


def test_contrast_and_brightness_do_not_matter_and_an_empty_image_has_the_share_zero() -> None:
    images = noise(20, 1, 8, 8)
    torch.testing.assert_close(high_frequency_share(images), high_frequency_share(0.01 * images + 0.7))
    torch.testing.assert_close(high_frequency_share(images), high_frequency_share(images.transpose(2, 3)))
    for level in (0.0, 1 / 3, 1.0):
        assert high_frequency_share(torch.full((3, 1, 8, 8), level)).tolist() == [0.0, 0.0, 0.0]


def test_channels_are_averaged_and_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(25, 3, 8, 8)
    separately = torch.stack([power_spectrum(images[:, [i]]) for i in range(3)]).mean(0)
    torch.testing.assert_close(power_spectrum(images), separately)
    whole = high_frequency_share(images), radial_spectrum(images).power
    monkeypatch.setattr("dgmbench.evaluation.quality.sharpness.BLOCK", 7)
    torch.testing.assert_close((high_frequency_share(images), radial_spectrum(images).power), whole)


def test_the_standard_error_is_the_spread_of_the_ratio_over_repetitions() -> None:
    sets = [blurred(noise(60, 1, 8, 8, seed=seed), 0.4 + 0.2 * (seed % 2)) for seed in range(300)]
    results = [high_frequency_ratio(sets[i], sets[i + 1]) for i in range(0, 300, 2)]
    spread = np.std([result.ratio for result in results], ddof=1)
    # The standard deviation of 150 values is known to 6 %.
    assert np.mean([result.std_error for result in results]) == pytest.approx(spread, rel=0.25)


@pytest.mark.parametrize(
    ("samples", "real", "said"),
    [
        (noise(1, 1, 8, 8), noise(5, 1, 8, 8), "1 samples to 5 real images"),
        (noise(5, 1, 8, 8), noise(5, 1, 8, 6), r"samples are \(1, 8, 8\)"),
        (noise(5, 1, 8, 8), torch.zeros(5, 1, 8, 8), "no energy above half the Nyquist frequency"),
        (noise(5, 1, 8, 8).index_fill(0, torch.tensor(2), math.nan), noise(5, 1, 8, 8), "not finite"),
        (
            torch.ones(5, 1, 8, 8, dtype=torch.uint8),
            torch.ones(5, 1, 8, 8, dtype=torch.uint8),
            "float images",
        ),
    ],
)
def test_sets_without_a_ratio_are_refused(samples: Tensor, real: Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        high_frequency_ratio(samples, real)


def test_the_metric_holds_samples_against_test_images_of_the_view(tmp_path: Path) -> None:
    subject = subject_of(Coder(), tmp_path)
    generated = subject.raw("train").float()
    flat = generated.mean((2, 3), keepdim=True).expand(-1, 1, 4, 4)
    subject.samples = (0.5 * generated + 0.5 * flat).round().to(torch.uint8)
    record, edges = sharpness(subject, tmp_path)
    slopes = edge_sharpness_ratio(subject.sample_pixels(), subject.pixels("test"))
    assert (edges.metric, edges.value, edges.n) == ("edge_sharpness_ratio", slopes.ratio, 60)
    expected = high_frequency_ratio(subject.sample_pixels(), subject.pixels("test"))
    assert (record.metric, record.unit, record.kind) == ("high_frequency_ratio", "1", "estimate")
    assert (record.value, record.std_error, record.n) == (expected.ratio, expected.std_error, 60)
    with np.load(tmp_path / "spectrum-3.npz") as content:
        np.testing.assert_allclose(content["frequency"], [0.25, 0.5])
        np.testing.assert_allclose(content["real"], radial_spectrum(subject.pixels("test")).power)
        np.testing.assert_allclose(content["generated"], radial_spectrum(subject.sample_pixels()).power)


def test_mean_images_of_a_density_are_measured_in_the_gray_view_only(tmp_path: Path) -> None:
    model = PriorCoder()
    for view, metrics in (
        ("gray", [*ratios("gray"), *(f"{metric}_mean" for metric in ratios("gray"))]),
        ("binary", ["high_frequency_ratio"]),
    ):
        subject = subject_of(model, tmp_path, view=view)
        subject.settings.seed = 5
        subject.samples = subject.raw("train")
        records = list(sharpness(subject, tmp_path))
        assert [record.metric for record in records] == metrics
        with np.load(tmp_path / "spectrum-3.npz") as content:
            assert ("means" in content.files) == (view == "gray")
            if view == "binary":
                continue
            # Codes of N(0, I) through an orthogonal matrix are white noise, here cut to [0, 1].
            draws = noise(60_000, 1, 4, 4).clamp(0, 1)
            assert content["means"] == pytest.approx(radial_spectrum(draws).power.numpy(), rel=0.35)
        expected = high_frequency_ratio(draws, subject.pixels("test"))
        assert abs(records[2].value - expected.ratio) < 4 * records[2].std_error
        assert records[2].n == 60
