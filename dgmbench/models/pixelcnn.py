"""PixelCNN (van den Oord, Kalchbrenner & Kavukcuoglu 2016): masked convolutions, exact likelihood.

p(x) is a product over pixels in raster order, and over colour channels within a pixel; a 7x7 mask-A
convolution, residual blocks of masked 3x3 convolutions (figure 5) and two 1x1 convolutions give every
conditional in one pass (table 1). Binary images get a Bernoulli per pixel, gray ones an L-way softmax.

A mask leaves only the rows up to the current one, so the kernels hold just those rows ((k + 1) / 2 of k):
the same function as a masked square kernel for less arithmetic. Sampling computes each pixel's activations
once and keeps them, instead of a full pass per pixel.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, Field, PositiveInt
from torch import Tensor, nn

from dgmbench.models.base import GenerativeModel, ModelSettings
from dgmbench.terms import Domain


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError(f"a masked convolution needs an odd kernel size, not {size}")
    return size


OddInt = Annotated[int, Field(ge=1), AfterValidator(_odd)]


class PixelCNNSettings(ModelSettings):
    """Width and depth of the network."""

    features: PositiveInt = Field(16, description="h; the residual stream has 2h features")
    blocks: PositiveInt = Field(7, description="residual blocks")
    kernel: OddInt = Field(3, description="size of the blocks' convolutions, odd")
    first_kernel: OddInt = Field(7, description="size of the first convolution, odd")
    head_features: PositiveInt = Field(64, description="width of the 1x1 layers before the output")


class CausalConv(nn.Module):
    """A masked convolution that sees the rows above and, in its own row, the pixels to the left.

    With ``strict`` (mask A) a channel group does not see itself at its own pixel; otherwise (mask B) it
    does. Groups are the image's colour channels in order R, G, B: group i sees groups j < i (A) or j <= i
    (B) at its own pixel. Features are split into as many groups, as evenly as they go.
    """

    mask: Tensor
    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, channels: int, strict: bool = False
    ) -> None:
        super().__init__()
        self.radius = _odd(kernel) // 2
        layer = nn.Conv2d(inputs, outputs, (self.radius + 1, kernel))
        assert isinstance(layer.weight, nn.Parameter)
        assert isinstance(layer.bias, nn.Parameter)
        self.weight, self.bias = layer.weight, layer.bias
        mask = torch.ones_like(layer.weight)
        mask[:, :, -1, self.radius + 1 :] = 0
        group_in, group_out = _groups(inputs, channels), _groups(outputs, channels)
        sees = group_out[:, None] > group_in if strict else group_out[:, None] >= group_in
        mask[:, :, -1, self.radius] = sees.float()
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, inputs, H, W]`` to ``[n, outputs, H, W]``."""
        weight = self.weight * self.mask
        if self.radius == 0:
            return F.conv2d(x, weight, self.bias)
        # Padding both ways and dropping the last rows beats a copy into a padded tensor.
        return F.conv2d(x, weight, self.bias, padding=self.radius)[:, :, : x.shape[2]]

    def window_weight(self) -> Tensor:
        """The masked kernel as a matrix ``[rows * columns * inputs, outputs]`` for one window."""
        weight = self.weight * self.mask
        return weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[0]).contiguous()


def _groups(features: int, channels: int) -> Tensor:
    return torch.arange(features) * channels // features


class ResidualBlock(nn.Module):
    """2h -> h -> masked k x k -> 2h with a skip (figure 5, left)."""

    def __init__(self, features: int, kernel: int, channels: int) -> None:
        super().__init__()
        self.reduce = CausalConv(2 * features, features, 1, channels=channels)
        self.spatial = CausalConv(features, features, kernel, channels=channels)
        self.expand = CausalConv(features, 2 * features, 1, channels=channels)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, 2h, H, W]`` to the same shape."""
        return x + self.expand(F.relu(self.spatial(F.relu(self.reduce(F.relu(x))))))


class PixelCNN(GenerativeModel):
    """Masked residual network with a Bernoulli or an L-way softmax for each sub-pixel."""

    Settings = PixelCNNSettings

    def __init__(self, settings: PixelCNNSettings, image_shape: tuple[int, int, int], levels: int) -> None:
        super().__init__(settings, image_shape, levels)
        channels, width, head = image_shape[0], 2 * settings.features, settings.head_features
        self.classes = 1 if self.view == "binary" else levels
        self.first = CausalConv(channels, width, settings.first_kernel, channels=channels, strict=True)
        self.blocks = nn.Sequential(
            *(ResidualBlock(settings.features, settings.kernel, channels) for _ in range(settings.blocks))
        )
        self.head = CausalConv(width, head, 1, channels=channels)
        self.head2 = CausalConv(head, head, 1, channels=channels)
        self.output = CausalConv(head, channels * self.classes, 1, channels=channels)
        # On CPU the masked stack runs several times faster in this format than in the default one.
        self.to(memory_format=torch.channels_last)

    @property
    def domain(self) -> Domain:
        """Binary pixels, or integer levels on gray images."""
        return "binary" if self.view == "binary" else "levels"

    def _scaled(self, x: Tensor) -> Tensor:
        top = 1 if self.view == "binary" else self.levels - 1
        return x.to(self.output.bias.dtype) * (2 / top) - 1

    def _hidden(self, x: Tensor) -> Tensor:
        first = self.first(self._scaled(x).contiguous(memory_format=torch.channels_last))
        hidden = self.blocks(first)
        return F.relu(self.head(F.relu(hidden)))

    def logits(self, x: Tensor) -> Tensor:
        """``[n, C, classes, H, W]`` logits: one class (of a 1) for binary pixels, L for gray levels."""
        output = self.output(F.relu(self.head2(self._hidden(x))))
        return output.unflatten(1, (self.image_shape[0], self.classes))

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log P(x) of the discrete image ``[n, C, H, W]`` in nats summed over pixels, ``[n]``."""
        logits = self.logits(x)
        if self.view == "binary":
            losses = F.binary_cross_entropy_with_logits(
                logits.squeeze(2), x.to(logits.dtype), reduction="none"
            )
        else:
            losses = F.cross_entropy(logits.transpose(1, 2), x.long(), reduction="none")
        return -losses.flatten(1).sum(1)

    def step(self, x: Tensor, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean negative log-likelihood of a batch, nats per image."""
        return {"loss": -self.log_prob(x).mean()}

    def encode(self, x: Tensor) -> Tensor:
        """Last hidden layer averaged over the image's pixels, ``[n, head_features]``."""
        return self._hidden(x).mean((2, 3))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` exact draws, pixel by pixel with cached activations."""
        device = self.output.bias.device
        blank = torch.zeros((n, *self.image_shape), device=device)
        return self.complete(blank, torch.zeros((), dtype=torch.bool, device=device), generator)

    @torch.no_grad()
    def complete(self, x: Tensor, given: Tensor, generator: torch.Generator) -> Tensor:
        """`x` with the pixels where `given` is False drawn in raster order from their conditionals.

        Args:
            x: images ``[n, C, H, W]`` in the model's domain.
            given: bool, broadcastable to `x`; True pixels are kept. Pixels that come earlier in raster
                order than a given one are drawn without looking ahead at it.
        """
        uniforms = torch.rand(x.shape, generator=generator, device=x.device, dtype=torch.float64)
        drawn = x.clone()
        given = given.expand_as(x)
        cache = _Cache(self, len(x))
        channels, height, width = self.image_shape
        for i in range(height):
            for j in range(width):
                for c in range(channels):
                    logits = cache.logits_at(self._scaled(drawn[:, :, i, j]), i, j)[:, c]
                    pixel = invert(logits, uniforms[:, c, i, j]).to(drawn.dtype)
                    drawn[:, c, i, j] = torch.where(given[:, c, i, j], drawn[:, c, i, j], pixel)
                cache.store_pixel(self._scaled(drawn[:, :, i, j]), i, j)
        return drawn if self.view == "binary" else drawn.long()


def invert(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Draws by inverting the distribution function at `uniforms` ``[n]``, for ``logits [n, classes]``."""
    if logits.shape[1] == 1:
        return uniforms < torch.sigmoid(logits[:, 0].double())
    cumulative = torch.softmax(logits.double(), 1).cumsum(1)
    # The last class takes what rounding leaves of the total.
    return (uniforms[:, None] >= cumulative[:, :-1]).sum(1)


class _Window:
    """One spatial layer's inputs, zero-padded and channels-last, and its kernel as a matrix."""

    def __init__(self, layer: CausalConv, n: int, height: int, width: int) -> None:
        rows, columns = layer.radius + 1, 2 * layer.radius + 1
        shape = (n, height + layer.radius, width + 2 * layer.radius, layer.weight.shape[1])
        self.inputs = torch.zeros(shape, device=layer.weight.device, dtype=layer.weight.dtype)
        self.rows, self.columns, self.radius = rows, columns, layer.radius
        self.weight, self.bias = layer.window_weight(), layer.bias

    def write(self, values: Tensor, i: int, j: int) -> None:
        self.inputs[:, i + self.radius, j + self.radius] = values

    def output(self, i: int, j: int) -> Tensor:
        window = self.inputs[:, i : i + self.rows, j : j + self.columns].flatten(1)
        return torch.addmm(self.bias, window, self.weight)


class _Cache:
    """Every layer's activations so far, so that one more pixel costs one window per layer."""

    def __init__(self, model: PixelCNN, n: int) -> None:
        _, height, width = model.image_shape
        self.image = _Window(model.first, n, height, width)
        blocks = [block for block in model.blocks if isinstance(block, ResidualBlock)]
        self.spatial = [_Window(block.spatial, n, height, width) for block in blocks]
        self.pointwise = [
            (block.reduce.window_weight(), block.reduce.bias, block.expand.window_weight(), block.expand.bias)
            for block in blocks
        ]
        self.tail = [(layer.window_weight(), layer.bias) for layer in (model.head, model.head2, model.output)]
        self.channels, self.classes = model.image_shape[0], model.classes
        self.grouped = self.channels > 1

    def logits_at(self, pixel: Tensor, i: int, j: int) -> Tensor:
        """``[n, C, classes]`` logits of pixel (i, j), given its earlier channels in ``pixel [n, C]``."""
        if self.grouped:
            self.image.write(pixel, i, j)
        hidden = self.image.output(i, j)
        for window, (reduce, reduce_bias, expand, expand_bias) in zip(
            self.spatial, self.pointwise, strict=True
        ):
            window.write(F.relu(torch.addmm(reduce_bias, F.relu(hidden), reduce)), i, j)
            hidden = hidden + torch.addmm(expand_bias, F.relu(window.output(i, j)), expand)
        for weight, bias in self.tail:
            hidden = torch.addmm(bias, F.relu(hidden), weight)
        return hidden.unflatten(1, (self.channels, self.classes))

    def store_pixel(self, pixel: Tensor, i: int, j: int) -> None:
        """Make the finished pixel ``[n, C]`` visible; with colour, refresh what its features depend on."""
        self.image.write(pixel, i, j)
        if self.grouped:
            self.logits_at(pixel, i, j)
