"""How a model sees a data set: the form of x, what is shown of it, and the units of its likelihood.

An entry of the settings names its view. Examples come in three forms: raw, as they are on disk; *observed*,
the discrete values that the view models (0/1 in the binary view); and x, what the model takes.

| view          | observed   | x                                                           |
|---------------|------------|-------------------------------------------------------------|
| binary        | 0 or 1     | float32 {0, 1}                                              |
| gray, color   | 0..L-1     | int64 levels, or float32 v = (k + u)/L, u uniform on [0, 1] |
| tokens        | token ids  | int64 ids                                                   |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from dgmbench.data.pixels import (
    binarise,
    bits_per_dim,
    dequantise,
    intensity,
    nats_from_levels,
    quantise,
    whole_levels,
)
from dgmbench.data.schema import ImageTarget, Schema, TokenTarget
from dgmbench.data.view import Reading, View
from dgmbench.terms import Kind, ViewName

if TYPE_CHECKING:
    from dgmbench.data.dataset import Dataset


@dataclass(frozen=True)
class ImageView(View):
    """Images; `target` is the data set's, `levels` the number of values of an observed pixel."""

    target: ImageTarget
    name: ViewName

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """(C, H, W)."""
        return self.target.shape

    @property
    def levels(self) -> int:
        """L of the images as this view sees them: 2 when binary."""
        return self.target.levels

    @property
    def dims(self) -> int:
        """d = C H W."""
        return self.target.dims

    def mean(self, raw: Tensor) -> Tensor:
        """The mean image ``[C, H, W]`` of raw ones, in [0, 1]."""
        return raw.float().mean(0) / (self.target.levels - 1)

    def observe(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The levels themselves."""
        return raw

    def display(self, observed: Tensor) -> Tensor:
        """k/(L-1)."""
        return intensity(observed, self.levels)

    def fixed(self, data: Dataset, split: str, generator: torch.Generator | None = None) -> Tensor:
        """The images of the split, memory-mapped."""
        return torch.from_numpy(data.images(split))


class BinaryView(ImageView):
    """Pixels 0 or 1, drawn with probability k/(L-1); nats of the binary image."""

    # Images that are binarised at once: drawn as floats, a million would be large.
    BLOCK: ClassVar[int] = 1 << 16

    @property
    def levels(self) -> int:
        """Two."""
        return 2

    def observe(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A Bernoulli draw for every pixel, uint8; images of two levels are their own."""
        return raw if self.target.levels == 2 else self._drawn(raw, generator).to(torch.uint8)

    def _drawn(self, raw: Tensor, generator: torch.Generator | None) -> Tensor:
        return binarise(raw, self.target.levels, generator)

    def encode(self, observed: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Float32 zeros and ones."""
        return observed.float()

    def decode(self, x: Tensor) -> Tensor:
        """Uint8 zeros and ones."""
        return whole_levels(x, 2)

    def measure(self, log_probs: Tensor, kind: Kind) -> list[Reading]:
        """Nats."""
        return [Reading("nats", log_probs, kind)]

    def fixed(self, data: Dataset, split: str, generator: torch.Generator | None = None) -> Tensor:
        """The data set's fixed binarisation; of the training split, the one that `generator` draws."""
        if split != "train" or self.target.levels == 2:
            return torch.from_numpy(data.binary(split))
        blocks = torch.from_numpy(data.images(split)).split(self.BLOCK)
        return torch.cat([self.observe(block, generator) for block in blocks])


class DiscreteView(ImageView):
    """Levels 0..L-1 with probabilities; nats are those of the equivalent density on [0,1]^d."""

    def encode(self, observed: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Int64 levels."""
        return observed.long()

    def decode(self, x: Tensor) -> Tensor:
        """Uint8 levels."""
        return whole_levels(x, self.levels)

    def measure(self, log_probs: Tensor, kind: Kind) -> list[Reading]:
        """Nats of the density that is constant over each level, and bits/dim: one number in two units."""
        nats = nats_from_levels(log_probs, self.dims, self.levels)
        return [
            Reading("nats", nats, kind),
            Reading("bits_per_dim", bits_per_dim(nats, self.dims, self.levels), kind),
        ]


class DequantisedView(ImageView):
    """Levels plus uniform noise, v = (k + u)/L; nats of a density on [0,1]^d."""

    continuous: ClassVar[bool] = True

    def encode(self, observed: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Float32 in (0, 1), the noise drawn by `generator`."""
        return dequantise(observed, self.levels, generator)

    def decode(self, x: Tensor) -> Tensor:
        """The levels that the values lie in; outside [0, 1], the nearest."""
        return quantise(x, self.levels)

    def measure(self, log_probs: Tensor, kind: Kind) -> list[Reading]:
        """Nats and bits/dim. The mean log density over the noise bounds the discrete image's from below
        (Theis et al. 2016, section 3.1), so in bits/dim an exact value is a bound.
        """
        discrete: Kind = "lower_bound" if kind in ("exact", "estimate") else kind
        bits = bits_per_dim(log_probs, self.dims, self.levels)
        return [Reading("nats", log_probs, kind), Reading("bits_per_dim", bits, discrete)]


@dataclass(frozen=True)
class TokenView(View):
    """Sequences of token ids, padded; nats of the whole sequence, its end included."""

    target: TokenTarget
    name: ViewName = "tokens"

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """(T,)."""
        return (self.target.length,)

    def observe(self, raw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The ids themselves."""
        return raw

    def encode(self, observed: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Int64 ids."""
        return observed.long()

    def decode(self, x: Tensor) -> Tensor:
        """Int32 ids."""
        if x.numel() and not bool(((x >= 0) & (x < self.target.vocabulary)).all()):
            raise ValueError(f"samples hold tokens outside 0..{self.target.vocabulary - 1}")
        return x.to(torch.int32)

    def display(self, observed: Tensor) -> Tensor:
        """Raises TypeError: sentences are read, not shown as pixels."""
        raise TypeError("token sequences have no pixels")

    def measure(self, log_probs: Tensor, kind: Kind) -> list[Reading]:
        """Nats of the sequence."""
        return [Reading("nats", log_probs, kind)]

    def fixed(self, data: Dataset, split: str, generator: torch.Generator | None = None) -> Tensor:
        """The sequences of the split, int64."""
        return torch.from_numpy(data.examples(split).astype("int64"))

    def mask(self, x: Tensor) -> Tensor:
        """True at every token that is no padding."""
        return x != TokenTarget.PAD


def view_of(name: ViewName, schema: Schema, *, continuous: bool = True) -> View:
    """The view of a data set by its name.

    Args:
        continuous: whether a model of gray or color images takes dequantised values rather than levels.

    Raises:
        ValueError: the data set has no such view.
    """
    if name == "tokens":
        return TokenView(schema.tokens)
    if name == "binary":
        return BinaryView(schema.image, name)
    kind = DequantisedView if continuous else DiscreteView
    return kind(schema.image, name)
