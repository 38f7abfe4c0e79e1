"""Pixels as levels, bits, intensities and dequantised values, and the one measure that joins likelihoods.

Images on disk are levels k in 0..L-1 (uint8). All functions work on any device; generators must live where
the images do. `dgmbench.data.views` says which of these forms a model takes.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Nats = TypeVar("Nats", float, np.ndarray, Tensor)


def intensity(images: Tensor, levels: int) -> Tensor:
    """k/(L-1): float32 in [0, 1], the grey value that is shown and measured in pixel units."""
    return images.float() / (levels - 1)


def binarise(images: Tensor, levels: int, generator: torch.Generator | None = None) -> Tensor:
    """A Bernoulli(k/(L-1)) draw for every pixel (Salakhutdinov and Murray 2008): float32 {0, 1}.

    Two-level images come back unchanged (and nothing is drawn).
    """
    pixels = images.float()
    if levels == 2:
        return pixels
    uniform = torch.rand(images.shape, generator=generator, device=images.device)
    # u (L-1) < k, not u < k/(L-1): rounding cannot give level L-1 anything but a 1.
    return (uniform.mul_(levels - 1) < pixels).float()


def dequantise(images: Tensor, levels: int, generator: torch.Generator | None = None) -> Tensor:
    """v = (k + u)/L with u uniform: float32 in (0, 1), shape of `images` (uint8).

    A density's mean log over u is a lower bound of log P(k) + d log L (Theis, van den Oord and Bethge 2016,
    section 3.1).

    floor(v L) = k holds exactly, in float32 and in float64.
    """
    uniform = torch.rand(images.shape, generator=generator, device=images.device)
    return place(images, uniform, levels)


def place(images: Tensor, uniform: Tensor, levels: int) -> Tensor:
    """(k + u)/L in float32 for given u in [0, 1], with u kept a rounding error away from 0 and 1.

    Four float32 roundings (the sum, 1/L on CUDA, the product, and v L on the way back) err by less
    than 4 L 2^-24 together; u that near to a level's edge would cross it. For L = 256 that moves one
    draw in 8192, by 2^-14 of a level at most.
    """
    margin = levels * 2.0**-22
    return uniform.clamp(margin, 1.0 - margin).add_(images).div_(levels)


def quantise(x: Tensor, levels: int) -> Tensor:
    """floor(v L) of dequantised values, uint8; values outside [0, 1] go to the nearest level.

    Raises:
        ValueError: a value is not finite.
    """
    _finite(x)
    return (x * levels).floor().clamp(0, levels - 1).to(torch.uint8)


def whole_levels(x: Tensor, levels: int) -> Tensor:
    """Draws of discrete pixels as uint8.

    Raises:
        ValueError: a value is not finite, or not a whole number of 0..levels-1.
    """
    _finite(x)
    quantised = x.round()
    if x.numel() and not bool(((quantised == x) & (x >= 0) & (x <= levels - 1)).all()):
        raise ValueError(f"samples hold values other than the whole numbers 0..{levels - 1}")
    return quantised.to(torch.uint8)


def bits_per_dim(nats: Nats, dims: int, levels: int) -> Nats:
    """Bits per dimension of the discrete image from nats of a density on [0,1]^d.

    -(nats - d log L) / (d log 2). Smaller is better; uniform noise has log2 L.
    """
    return -(nats - dims * math.log(levels)) / (dims * math.log(2.0))


def nats_from_bits_per_dim(bits: Nats, dims: int, levels: int) -> Nats:
    """The inverse of `bits_per_dim`: nats of a density on [0,1]^d."""
    return dims * math.log(levels) - bits * (dims * math.log(2.0))


def nats_from_levels(log_probability: Nats, dims: int, levels: int) -> Nats:
    """Nats of a density on [0,1]^d from log P(k) of the discrete image: log P(k) + d log L."""
    return log_probability + dims * math.log(levels)


def _finite(x: Tensor) -> None:
    if x.is_floating_point() and not bool(torch.isfinite(x).all()):
        raise ValueError("samples hold values that are not finite")
