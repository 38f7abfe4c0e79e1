"""What the pixel-by-pixel models share: exact likelihood, sampling, completion, the output layers.

p(x) is a product over pixels in raster order, and over colour channels within a pixel (van den Oord,
Kalchbrenner & Kavukcuoglu 2016, eq. 1 and 2). An architecture gives the last map of features, in `hidden`
for a whole image at once and in `start_cache` for one pixel after the other; two 1x1 convolutions and the
output distribution follow (table 1). Binary images get a Bernoulli per sub-pixel, gray and colour ones an
L-way softmax or a mixture of discretised logistics.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import SettingsError
from dgmbench.models.autoregressive.causal import CausalConv
from dgmbench.models.autoregressive.completion import CachedHead, Completion, PixelCache
from dgmbench.models.autoregressive.outputs import Bernoulli, LogisticMixture, PixelOutput, Softmax
from dgmbench.models.autoregressive.training_passes import PiecewiseLoss, piece_count, require_compiler
from dgmbench.models.base import Model, ModelSettings


class AutoregressiveSettings(ModelSettings):
    """The output layers, and how the network is run."""

    head_features: PositiveInt = Field(64, description="width of the 1x1 layers before the output")
    output: Literal["softmax", "logistics"] = Field(
        "softmax", description="gray only: a probability per level, or a mixture of discretised logistics"
    )
    mixtures: PositiveInt = Field(10, description="components of the mixture of logistics")
    compile: bool = Field(
        False, description="train through torch.compile, with CUDA graphs on a GPU; nothing else is compiled"
    )

    @model_validator(mode="after")
    def _binary_is_bernoulli(self) -> Self:
        if self.view == "binary" and self.output != "softmax":
            raise ValueError(f"output: {self.output} needs view: gray; binary pixels have a Bernoulli each")
        return self


class Autoregressive(Model):
    """A causal network with an output distribution per pixel; subclasses give `hidden` and `start_cache`.

    A subclass builds its layers, with `self.groups` channel groups, then calls `_add_head`.
    """

    Settings = AutoregressiveSettings
    # Pixels of a training batch that a CPU takes at once, so that activations stay in its caches and the
    # allocator keeps their memory; None: all of them.
    piece_pixels: ClassVar[int | None] = None
    head: CausalConv
    head2: CausalConv
    output: CausalConv

    def __init__(self, settings: AutoregressiveSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.distribution = output_distribution(settings, self.image_shape[0], self.levels)
        self.groups = self.distribution.groups
        self.compiles = settings.compile

    def _add_head(self, width: int, settings: AutoregressiveSettings) -> None:
        """The layers from ``width`` features to the output; the last of a subclass's construction."""
        head, groups = settings.head_features, self.groups
        if min(width, head) < groups:
            raise SettingsError(
                f"features and head_features of {groups} colour channels are {groups} or more each: "
                "a channel without a feature of its own would lose its links to the others"
            )
        self.head = CausalConv(width, head, 1, groups=groups)
        self.head2 = CausalConv(head, head, 1, groups=groups)
        self.output = CausalConv(head, self.distribution.size, 1, groups=groups)
        # On CPU masked convolutions run several times faster in this format than in the default one.
        self.to(memory_format=torch.channels_last)

    def hidden(self, x: Tensor) -> Tensor:
        """``[n, width, H, W]`` features; those of a pixel depend on earlier ones of ``x [n, C, H, W]``.

        x is scaled to [-1, 1] and `channels_last`.
        """
        raise NotImplementedError

    def start_cache(self, n: int) -> PixelCache:
        """The cache of `n` empty images."""
        raise NotImplementedError

    @classmethod
    def takes_densities(cls, settings: Any) -> bool:
        """No: pixels are zeros and ones, or integer levels."""
        return False

    def _scaled(self, x: Tensor) -> Tensor:
        top = self.levels - 1
        return x.to(self.output.bias.dtype) * (2 / top) - 1

    def _features(self, x: Tensor) -> Tensor:
        hidden = self.hidden(self._scaled(x).contiguous(memory_format=torch.channels_last))
        # Not in place: a view's gradient would then be copied.
        return F.relu(self.at_pixels(self.head, F.relu(hidden)))

    def at_pixels(self, layer: CausalConv, x: Tensor) -> Tensor:
        """A 1x1 convolution in the memory layout that `hidden` gives."""
        output: Tensor = layer(x)
        return output

    def _raw(self, x: Tensor) -> Tensor:
        features = F.relu(self.at_pixels(self.head2, self._features(x)))
        return self.at_pixels(self.output, features).contiguous(memory_format=torch.channels_last)

    @cached_property
    def _compiled(self) -> Callable[[Tensor], Tensor]:
        device = self.output.bias.device
        require_compiler(device)
        # Launching thousands of small kernels is what a GPU waits for; a CUDA graph launches them at once.
        mode = "reduce-overhead" if device.type == "cuda" else "default"
        return torch.compile(self._raw, mode=mode, fullgraph=True)

    def raw_output(self, x: Tensor) -> Tensor:
        """What the output distribution takes: ``[n, size, H, W]``, in float32 also under autocast.

        Raises:
            ValueError: for images of another shape than the model's.
        """
        self._check_shape(x)
        # Likelihoods need no compiler, nor depend on one.
        raw = self._compiled(x) if self.compiles and self.training else self._raw(x)
        return raw.float() if raw.dtype in (torch.bfloat16, torch.float16) else raw

    def logits(self, x: Tensor) -> Tensor:
        """``[n, C, classes, H, W]`` logits of each sub-pixel given those before it.

        One class (of a 1) for binary pixels, L for gray levels.
        """
        return self.distribution.class_logits(self.raw_output(x), x)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log P(x) of the discrete image ``[n, C, H, W]`` in nats summed over pixels, ``[n]``."""
        return self.distribution.log_prob(self.raw_output(x), x)

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean negative log-likelihood of a batch, nats per image."""
        x = batch.x
        pieces = piece_count(x, self.piece_pixels)
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if pieces <= 1 or not parameters or x.requires_grad or not torch.is_grad_enabled():
            return {"loss": -self.log_prob(x).mean()}
        return {"loss": PiecewiseLoss.apply(self.log_prob, x.chunk(pieces), *parameters)}

    def encode(self, x: Tensor) -> Tensor:
        """Last hidden layer but one averaged over the image's pixels, ``[n, head_features]``."""
        return self._features(x).mean((2, 3))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` exact draws, pixel by pixel with cached activations."""
        device = self.output.bias.device
        blank = torch.zeros((n, *self.image_shape), device=device)
        return self.complete(blank, torch.zeros((), dtype=torch.bool, device=device), generator)

    def completions(self, x: Tensor, given: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        """``[draws, n, C, H, W]``: several independent results of `complete` for each image."""
        repeated, kept = (part.expand_as(x).repeat(draws, 1, 1, 1) for part in (x, given))
        return self.complete(repeated, kept, generator).unflatten(0, (draws, len(x)))

    @torch.no_grad()
    def complete(self, x: Tensor, given: Tensor, generator: torch.Generator) -> Tensor:
        """`x` with the pixels where `given` is False drawn in raster order from their conditionals.

        Args:
            x: images ``[n, C, H, W]`` as the model takes them.
            given: bool, broadcastable to `x`; True pixels are kept. Pixels that come earlier in raster
                order than a given one are drawn without looking ahead at it.
            generator: gives one uniform number per sub-pixel, drawn or not.

        Raises:
            ValueError: for images of another shape than the model's, or a mask that is not bool.
        """
        self._check_shape(x)
        if given.dtype != torch.bool:
            raise ValueError(f"given says of each pixel whether it is: a bool tensor, not {given.dtype}")
        # Cached states are float32, whatever precision full passes are run in.
        with torch.autocast(x.device.type, enabled=False):
            uniforms = torch.rand(x.shape, generator=generator, device=x.device, dtype=torch.float64)
            head = CachedHead([self.head, self.head2, self.output])
            completion = Completion(self.distribution, self.start_cache(len(x)), head, self._scaled)
            drawn = completion.complete(x, given, uniforms)
        return drawn if self.view.is_binary else drawn.long()

    def _check_shape(self, x: Tensor) -> None:
        if tuple(x.shape[1:]) != tuple(self.image_shape):
            raise ValueError(f"images of shape {tuple(x.shape[1:])}; this model's are {self.image_shape}")


def output_distribution(settings: AutoregressiveSettings, channels: int, levels: int) -> PixelOutput:
    """The output distribution that the settings ask for."""
    if settings.view == "binary":
        return Bernoulli(channels)
    if settings.output == "logistics":
        return LogisticMixture(channels, levels, settings.mixtures)
    return Softmax(channels, levels)
