"""Edges measured: how many pixels wide they are, after Marziliano et al. 2002 (a perceptual blur metric).

Blur spreads an edge over more pixels and keeps its height. Over the differences d of neighbouring pixels,
sum |d|^3 / sum d^2 is the mean slope, each difference weighed by its square, so that weak noise on flat paper
counts for little. Over the image's range that is one over the width of its edges in pixels, and does not
depend on brightness or contrast: 1 is a step from one pixel to the next over the whole range. Unlike the
share of spectral energy it does not depend on how much there is besides edges. Strong noise still lowers it:
its differences are many, and small beside a range that it widens.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Images that are looked at at once.
BLOCK = 4096


def edge_sharpness(images: Tensor) -> Tensor:
    """Mean slope of each image's edges over its range, float64 ``[n]`` in [0, 1]; 0 without any edge.

    images: floats ``[n, C, H, W]`` with at least two pixels. Raises ValueError for others, or values that are
    not finite.
    """
    if images.ndim != 4 or len(images) == 0 or not images.is_floating_point() or images[0, 0].numel() < 2:
        raise ValueError(f"edges need float images [n, C, H, W], not {images.dtype} {tuple(images.shape)}")
    return torch.cat([_sharpness(block.detach().cpu().double()) for block in images.split(BLOCK)])


def _sharpness(images: Tensor) -> Tensor:
    if not bool(torch.isfinite(images).all()):
        raise ValueError("there are images with values that are not finite (NaN or infinite)")
    steps = torch.cat([images.diff(dim=axis).flatten(1).abs() for axis in (-2, -1)], 1)
    values = images.flatten(1)
    scale = steps.square().sum(1) * (values.amax(1) - values.amin(1))
    return torch.where(scale > 0, steps.pow(3).sum(1) / scale, 0.0)
