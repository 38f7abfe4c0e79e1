"""PixelCNN (van den Oord, Kalchbrenner & Kavukcuoglu 2016): masked convolutions, exact likelihood.

A 7x7 mask-A convolution and residual blocks of masked 3x3 convolutions (figure 5, left) give every
conditional in one pass (table 1). Stacked masks leave a blind spot to the upper right of a pixel, which
`gated_pixelcnn` has not.
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dgmbench.data.schema import Schema
from dgmbench.models.autoregressive.causal import CachedConv, CachedPointwise, CausalConv, OddInt, WideOddInt
from dgmbench.models.autoregressive.pixelwise import Autoregressive, AutoregressiveSettings
from dgmbench.settings.block import Few


class PixelCNNSettings(AutoregressiveSettings):
    """Width and depth of the network."""

    features: PositiveInt = Field(16, description="h; the residual stream has 2h features")
    blocks: Few = Field(7, description="residual blocks")
    kernel: OddInt = Field(3, description="size of the blocks' convolutions, odd")
    first_kernel: WideOddInt = Field(7, description="size of the first convolution, odd, 3 or more")


class ResidualBlock(nn.Module):
    """2h -> h -> masked k x k -> 2h with a skip (figure 5, left)."""

    def __init__(self, features: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.reduce = CausalConv(2 * features, features, 1, groups=groups)
        self.spatial = CausalConv(features, features, kernel, groups=groups)
        self.expand = CausalConv(features, 2 * features, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, 2h, H, W]`` to the same shape."""
        hidden = F.relu(self.reduce(F.relu(x)), inplace=True)
        return x + self.expand(F.relu(self.spatial(hidden), inplace=True))


class PixelCNN(Autoregressive):
    """Masked residual network."""

    Settings = PixelCNNSettings
    piece_pixels = 32 * 784

    def __init__(self, settings: PixelCNNSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        h, groups = settings.features, self.groups
        self.first = CausalConv(self.image_shape[0], 2 * h, settings.first_kernel, groups=groups, strict=True)
        self.blocks = nn.Sequential(
            *(ResidualBlock(h, settings.kernel, groups) for _ in range(settings.blocks))
        )
        self._add_head(2 * h, settings)

    def hidden(self, x: Tensor) -> Tensor:
        """``[n, 2h, H, W]`` for scaled images."""
        return self.blocks(self.first(x))

    def start_cache(self, n: int) -> _Cache:
        """The cache of `n` empty images."""
        return _Cache(self, n)


class _Cache:
    def __init__(self, model: PixelCNN, n: int) -> None:
        width = model.image_shape[2]
        self.first = CachedConv(model.first, n, width)
        blocks = [block for block in model.blocks if isinstance(block, ResidualBlock)]
        self.reduce = [CachedPointwise(block.reduce) for block in blocks]
        self.spatial = [CachedConv(block.spatial, n, width) for block in blocks]
        self.expand = [CachedPointwise(block.expand) for block in blocks]

    def start_row(self, i: int) -> None:
        for layer in (self.first, *self.spatial):
            layer.start_row()

    def hidden_at(self, pixel: Tensor, i: int, j: int) -> Tensor:
        self.first.write(pixel, j)
        hidden = self.first.output(j)
        for reduce, spatial, expand in zip(self.reduce, self.spatial, self.expand, strict=True):
            spatial.write(F.relu(reduce(F.relu(hidden))), j)
            hidden = hidden + expand(F.relu(spatial.output(j)))
        return hidden

    def store(self, pixel: Tensor, i: int, j: int) -> None:
        self.first.write(pixel, j)
