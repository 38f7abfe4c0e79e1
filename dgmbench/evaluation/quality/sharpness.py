"""Blur measured: how much of an image's spectral energy lies at high spatial frequencies, and how sharp
its edges are (see `edges`).

Natural images have power at every frequency (Field 1987), and a decoder that averages over what it does not
know has too little of it at high ones (Dosovitskiy & Brox 2016 on the mean images of pixel-wise losses). The
measure is the share of an image's energy above half the Nyquist frequency, its mean intensity left aside,
and a model's score is the share of its samples over that of held-out images: 1 is as sharp as data, below is
blur, above is noise. A share does not see contrast, and nothing here sees content: white noise scores high.

Samples of a density carry its observation noise, which can make up for the blur of the mean image under it.
On gray images the mean images of draws from the prior are therefore measured too. Not on binary ones: their
data are noisy by binarisation, as no mean image is.

Images ``[n, C, H, W]`` are intensities in [0, 1]; frequencies are in cycles per pixel, Nyquist is 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dgmbench.evaluation.judged import Judged
from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.quality.edges import edge_sharpness
from dgmbench.results import Record
from dgmbench.terms import ViewName

NYQUIST = 0.5
# Images that are transformed at once: 32 MiB of complex numbers at 32x32.
BLOCK = 2048


@dataclass(frozen=True)
class SharpnessRatio:
    """The samples' mean share of high-frequency energy over that of real images, and its standard error."""

    ratio: float
    std_error: float


@dataclass(frozen=True)
class RadialSpectrum:
    """Mean power of a set of images on rings of equal frequency.

    frequency: float64 [m], the rings' centres k / min(H, W) up to Nyquist, in cycles per pixel.
    power: float64 [m]; white noise of variance s^2 has the power s^2 at every frequency.
    """

    frequency: Tensor
    power: Tensor


def power_spectrum(images: Tensor) -> Tensor:
    """Power of each image at each frequency of a 2-D FFT, float64 ``[n, H, W]``, averaged over channels.

    Images end at their borders, and a plain FFT would take the jump from one border to the other for sharp
    detail; a Hann window fades it out. The window's own mean of the image is taken away first, so that the
    power at frequency 0 is 0. Raises ValueError unless images are floats ``[n, C, H, W]`` and there are some.
    """
    if images.ndim != 4 or len(images) == 0 or not images.is_floating_point():
        raise ValueError(f"spectra need float images [n, C, H, W], not {images.dtype} {tuple(images.shape)}")
    window = hann(images.shape[-2])[:, None] * hann(images.shape[-1])
    # Less its first pixel, an image without content is exactly 0, and so is its spectrum.
    contrast = images.detach().cpu().double() - images[..., :1, :1].detach().cpu().double()
    mean = (window * contrast).sum((-2, -1), keepdim=True) / window.sum()
    spectrum = torch.fft.fft2(window * (contrast - mean))
    return (spectrum.abs().square() / window.square().sum()).mean(1)


def hann(n: int) -> Tensor:
    """The Hann window at the centres of n pixels, sin^2(pi (i + 1/2) / n), float64: no pixel is lost."""
    return torch.sin(math.pi * (torch.arange(n, dtype=torch.float64) + 0.5) / n).square()


def frequencies(height: int, width: int) -> Tensor:
    """Distance of each FFT frequency from 0, in cycles per pixel, float64 ``[H, W]``."""
    vertical = torch.fft.fftfreq(height, dtype=torch.float64)
    horizontal = torch.fft.fftfreq(width, dtype=torch.float64)
    return torch.hypot(vertical[:, None], horizontal)


def high_frequency_share(images: Tensor) -> Tensor:
    """Share of each image's energy above half the Nyquist frequency, float64 ``[n]`` in [0, 1].

    An image of one intensity has no energy, and the share 0: it is the end of all blurring.
    """
    high = frequencies(*images.shape[-2:]) > NYQUIST / 2
    parts = []
    for block in images.split(BLOCK):
        power = power_spectrum(block)
        total = power.sum((-2, -1))
        if not bool(torch.isfinite(total).all()):
            raise ValueError("there are images with values that are not finite (NaN or infinite)")
        share = power[:, high].sum(-1) / total
        parts.append(torch.where(total > 0, share, 0.0))
    return torch.cat(parts)


def radial_spectrum(images: Tensor) -> RadialSpectrum:
    """The mean power of `images` on rings 1/min(H, W) wide; the corners beyond Nyquist are left out."""
    height, width = images.shape[-2:]
    side = min(height, width)
    rings = (frequencies(height, width) * side).round().long()
    total = torch.zeros(height, width, dtype=torch.float64)
    for block in images.split(BLOCK):
        total += power_spectrum(block).sum(0)
    mean = total / len(images)
    places = range(1, side // 2 + 1)
    power = torch.stack([mean[rings == ring].mean() for ring in places])
    return RadialSpectrum(torch.tensor(places, dtype=torch.float64) / side, power)


def high_frequency_ratio(samples: Tensor, real: Tensor) -> SharpnessRatio:
    """Mean share of high-frequency energy of `samples` over that of `real`; see `ratio_of_means`."""
    return ratio_of_means(high_frequency_share, samples, real, "energy above half the Nyquist frequency")


def edge_sharpness_ratio(samples: Tensor, real: Tensor) -> SharpnessRatio:
    """Mean edge sharpness of `samples` over that of `real`; see `ratio_of_means`."""
    return ratio_of_means(edge_sharpness, samples, real, "edge")


def ratio_of_means(
    measure: Callable[[Tensor], Tensor], samples: Tensor, real: Tensor, what: str
) -> SharpnessRatio:
    """Mean of a measure ``[n]`` over `samples` over its mean over `real`, the error by the delta method.

    Raises ValueError for fewer than two images in a set, images of different form, or real images that have
    no `what`.
    """
    if min(len(samples), len(real)) < 2:
        raise ValueError(f"a ratio of {len(samples)} samples to {len(real)} real images: give 2 at least")
    if samples.shape[1:] != real.shape[1:]:
        raise ValueError(f"samples are {tuple(samples.shape[1:])} and real images {tuple(real.shape[1:])}")
    shares = measure(samples), measure(real)
    above, below = (float(share.mean()) for share in shares)
    if below == 0:
        raise ValueError(f"the real images have no {what}")
    spread_above, spread_below = (float(share.var()) / len(share) for share in shares)
    ratio = above / below
    return SharpnessRatio(ratio, math.sqrt(spread_above + ratio**2 * spread_below) / below)


Ratio = Callable[[Tensor, Tensor], SharpnessRatio]


def ratios(view: ViewName) -> dict[str, Ratio]:
    """The measures of a view by metric. Every edge of a black-and-white image is one pixel wide."""
    spectral: dict[str, Ratio] = {"high_frequency_ratio": high_frequency_ratio}
    return spectral if view == "binary" else spectral | {"edge_sharpness_ratio": edge_sharpness_ratio}


@measure(samples=True)
def sharpness(subject: Judged, folder: Path) -> Iterator[Record]:
    """High-frequency energy and, in gray, edge sharpness over those of test images: the samples', and the
    mean images' of a density.

    Leaves the spectra in ``spectrum-<seed>.npz``.
    """
    real = subject.pixels(subject.against)
    spectrum = radial_spectrum(real)
    arrays = {"frequency": spectrum.frequency.numpy(), "real": spectrum.power.numpy()}
    sets = {"generated": ("", subject.sample_pixels())}
    means = subject.mean_images(len(sets["generated"][1]))
    if means is not None:
        sets["means"] = ("_mean", means)
    for name, (suffix, images) in sets.items():
        arrays[name] = radial_spectrum(images).power.numpy()
        for metric, ratio in ratios(subject.view.name).items():
            result = ratio(images, real)
            yield subject.record(
                metric + suffix, result.ratio, result.std_error,
                n=len(images), unit="1", kind="estimate", seconds=subject.lap(),
            )  # fmt: skip
    subject.save(folder, "spectrum", **arrays)
