"""A kernel at every training image (Parzen 1962; Aitchison & Aitken 1976): likelihood by rote.

Gray: isotropic Gaussians of one bandwidth, at the middles (k + 1/2)/L of the training images' levels; their
dequantisation noise, drawn once, would only blur the density. Binary: eq. 2 of Aitchison & Aitken, where
each pixel of a training image is flipped with one probability (1 - lambda in their notation). The width is
chosen on validation images; all training images are kept, as uint8. Its samples are blurred copies, which
makes it a control for memorisation as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import SettingsError
from dgmbench.kernel_density import gaussian_kernel_log_density
from dgmbench.models.base import Model, ModelSettings
from dgmbench.settings.block import Few, Pair

# Points and centres of a block of distances: 8 MiB in float32.
POINT_BLOCK, CENTRE_BLOCK = 512, 4096


class KDESettings(ModelSettings):
    """The logarithmic grid of kernel widths among which validation chooses."""

    log10_widths: Pair[float] = Field(
        (-2.0, -0.4), description="range of bandwidths (gray, pixel units) or flip probabilities (binary)"
    )
    widths: Few = Field(17, description="points of the grid")

    @model_validator(mode="after")
    def _probabilities_below_one_half(self) -> Self:
        # A pixel that is flipped more often than not would make a kernel of the negative image.
        if self.view == "binary" and max(self.log10_widths) > math.log10(0.5):
            raise ValueError(f"flip probabilities end at 0.5, so log10_widths at {math.log10(0.5):.4f}")
        return self

    def grid(self) -> list[float]:
        """The candidate widths, rising."""
        low, high = sorted(self.log10_widths)
        if self.widths == 1:
            return [10**low]
        return [10 ** (low + (high - low) * i / (self.widths - 1)) for i in range(self.widths)]


class KDE(Model):
    """A kernel density estimate; as many parameters as there are training pixels."""

    Settings = KDESettings

    centres: Tensor
    width: Tensor

    def __init__(self, settings: KDESettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        if self.levels > 256:
            raise SettingsError(f"kde keeps its images as uint8, and {self.levels} levels do not fit")
        self.candidates = settings.grid()
        # The number of centres follows from the training images: see `_load_from_state_dict`.
        self.register_buffer("centres", torch.zeros(0, self.dims, dtype=torch.uint8))
        self.register_buffer("width", torch.ones((), dtype=torch.float64))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Make room for the stored centres, whose number is not among the settings; then load as usual."""
        stored = state_dict.get(f"{prefix}centres")
        if stored is not None:
            self.centres = self.centres.new_empty((len(stored), self.dims))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def parameter_count(self) -> int:
        """n d + 1: every pixel of the n training images, and the width."""
        return self.centres.numel() + 1

    def fit(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Keep ``train [n, C, H, W]`` and the width with the best likelihood of `valid`."""
        self.centres = self._levels(train.x)
        losses = (-self._log_densities(valid.x, self.candidates).mean(0)).tolist()
        best = min(range(len(losses)), key=losses.__getitem__)
        self.width.fill_(self.candidates[best])
        return {"loss": losses[best], "width": self.candidates[best]}

    def _levels(self, x: Tensor) -> Tensor:
        """The discrete images ``[n, d]`` uint8 that ``x [n, C, H, W]`` came from."""
        flat = x.flatten(1)
        if not self.view.is_binary:
            flat = (flat * self.levels).floor().clamp(0, self.levels - 1)
        return flat.to(torch.uint8)

    def log_prob(self, x: Tensor) -> Tensor:
        """Nats of ``x [n, C, H, W]``, ``[n]`` float64: of the binary image, or a density of the gray one."""
        return self._log_densities(x, [float(self.width)])[:, 0]

    def _log_densities(self, x: Tensor, widths: Sequence[float]) -> Tensor:
        """``[n, number of widths]`` float64."""
        if len(self.centres) == 0:
            raise ValueError("a kernel density needs centres: fit it, or load its state, first")
        if self.view.is_binary:
            return bernoulli_kernel_log_probability(self.centres, x.flatten(1), widths)
        return gaussian_kernel_log_density(self._middles(), x.flatten(1), widths).to(x.device)

    def _middles(self) -> Iterator[Tensor]:
        for part in self.centres.split(CENTRE_BLOCK):
            yield self._middle(part)

    def _middle(self, images: Tensor) -> Tensor:
        return (images.double() + 0.5) / self.levels

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws around random training images: float32 0/1, or float64 beyond [0, 1] too."""
        return self.decoder_sample(self.prior_sample(n, generator), generator)

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n]`` training images by their place, int64, drawn uniformly."""
        return torch.randint(len(self.centres), (n,), generator=generator, device=self.centres.device)

    def decode(self, z: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` of the kernels around training images ``z [n]``, float64 in [0, 1]."""
        chosen, width = self.centres[z], float(self.width)
        means = width + (1 - 2 * width) * chosen.double() if self.view.is_binary else self._middle(chosen)
        return means.reshape(-1, *self.image_shape)

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of the kernels around training images ``z [n]``."""
        chosen, width = self.centres[z], float(self.width)
        if self.view.is_binary:
            draws = (chosen.bool() ^ (_random(torch.rand, chosen, generator) < width)).float()
        else:
            draws = self._middle(chosen) + width * _random(torch.randn, chosen, generator)
        return draws.reshape(-1, *self.image_shape)


def _random(draw: Callable[..., Tensor], like: Tensor, generator: torch.Generator) -> Tensor:
    return draw(like.shape, generator=generator, device=like.device, dtype=torch.float64)


def bernoulli_kernel_log_probability(centres: Tensor, x: Tensor, flips: Sequence[float]) -> Tensor:
    """log (1/m) sum_j f^H (1 - f)^(d - H) under each f, H the pixels in which x and centre j differ.

    centres: uint8 ``[m, d]`` and x ``[n, d]`` of zeros and ones; returns ``[n, len(flips)]`` float64 nats.
    H takes d + 1 values only, so that a histogram of it serves all of `flips`.
    """
    counts = torch.cat([_difference_counts(centres, part) for part in x.split(POINT_BLOCK)])
    logs = counts.double().log() - math.log(len(centres))
    different = torch.arange(counts.shape[1], dtype=torch.float64, device=x.device)
    same = different.flip(0)
    columns = [torch.logsumexp(logs + different * math.log(f) + same * math.log1p(-f), 1) for f in flips]
    return torch.stack(columns, dim=1)


def _difference_counts(centres: Tensor, x: Tensor) -> Tensor:
    """For each row of ``x [b, d]``, how many centres differ from it in 0, 1 ... d pixels: ``[b, d + 1]``."""
    points, bins = x.float(), x.shape[1] + 1
    lengths = points.sum(1, keepdim=True)
    rows = torch.arange(len(x), device=x.device)[:, None] * bins
    counts = torch.zeros(len(x) * bins, dtype=torch.int64, device=x.device)
    for part in centres.split(CENTRE_BLOCK):
        kernels = part.float()
        # |x| + |c| - 2 x.c: whole numbers, which float32 holds exactly up to 2^24.
        different = torch.addmm(lengths + kernels.sum(1), points, kernels.T, alpha=-2.0)
        counts += torch.bincount((different.long() + rows).flatten(), minlength=len(counts))
    return counts.reshape(len(x), bins)
