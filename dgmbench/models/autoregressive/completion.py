"""Drawing the missing pixels of images one after the other.

Each activation is computed once and kept, instead of a full pass per pixel: the same distribution, and the
same images for the same generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from dgmbench.models.autoregressive.causal import CachedPointwise, CausalConv
from dgmbench.models.autoregressive.outputs import PixelOutput


class PixelCache(Protocol):
    """A network's activations so far, so that a pixel costs no pass over the whole image."""

    def start_row(self, i: int) -> None:
        """Begin row `i`; all pixels above it are final."""
        ...

    def hidden_at(self, pixel: Tensor, i: int, j: int) -> Tensor:
        """``[n, width]`` features of pixel (i, j), given its earlier channels in ``pixel [n, C]``.

        Pixels are scaled to [-1, 1]. A pixel may be requested again, with more of its channels known.
        """
        ...

    def store(self, pixel: Tensor, i: int, j: int) -> None:
        """Make the finished ``pixel [n, C]`` visible to later ones."""
        ...


class Completion:
    """Draws the missing pixels of images in raster order, with cached activations.

    Args:
        distribution: of a sub-pixel, given the network's output.
        cache: the network's activations for as many images as are completed.
        head: the layers from features to the output.
        scaled: takes pixels to [-1, 1].
    """

    def __init__(
        self,
        distribution: PixelOutput,
        cache: PixelCache,
        head: CachedHead,
        scaled: Callable[[Tensor], Tensor],
    ) -> None:
        self.distribution, self.cache, self.head, self.scaled = distribution, cache, head, scaled

    def complete(self, x: Tensor, given: Tensor, uniforms: Tensor) -> Tensor:
        """``x [n, C, H, W]`` with the pixels drawn where `given` is False, by a uniform number each."""
        given = given.expand_as(x)
        drawn = torch.where(given, x, 0)
        missing = (~given).any(0).any(0).tolist()
        rows = max((i + 1 for i, row in enumerate(missing) if any(row)), default=0)
        for i in range(rows):
            self.cache.start_row(i)
            for j in range(x.shape[3]):
                pixel = drawn[:, :, i, j]
                if missing[i][j]:
                    self._draw(pixel, given[:, :, i, j], uniforms[:, :, i, j], i, j)
                else:
                    self.cache.hidden_at(self.scaled(pixel), i, j)
                self.cache.store(self.scaled(pixel), i, j)
        return drawn

    def _draw(self, pixel: Tensor, given: Tensor, uniforms: Tensor, i: int, j: int) -> None:
        """Fill in ``pixel [n, C]`` in place, channel by channel."""
        for c in range(pixel.shape[1]):
            if c < self.distribution.groups:
                raw = self.head(self.cache.hidden_at(self.scaled(pixel), i, j))
            value = self.distribution.draw(raw, pixel, c, uniforms[:, c]).to(pixel.dtype)
            pixel[:, c] = torch.where(given[:, c], pixel[:, c], value)


class CachedHead:
    """The layers after the hidden features, at single pixels."""

    def __init__(self, layers: Sequence[CausalConv]) -> None:
        self.layers = [CachedPointwise(layer) for layer in layers]

    def __call__(self, hidden: Tensor) -> Tensor:
        """``[n, width]`` to ``[n, size]``."""
        for layer in self.layers:
            hidden = layer(F.relu(hidden))
        return hidden
