"""Observation models p(x|z): what a decoder's raw outputs mean, pixel by pixel and independent given z.

Three of them, each an `nn.Module` that knows how many outputs a pixel takes, its log-density, its
mean and how to draw from it. Binary images get a Bernoulli. Gray ones get a Gaussian on the dequantised image
(a density) or a discretised logistic on its levels (exact probabilities: Salimans et al. 2017, section 2.1).
Shapes: ``x [n, C, H, W]`` as the view gives it, outputs ``[..., n, outputs_per_pixel * C * H * W]``.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgmbench.models.latent.decoding import bernoulli_log_prob
from dgmbench.models.parts.densities import gaussian_log_prob
from dgmbench.models.parts.observation_settings import ObservationSettings, Variance, likelihood_of


class Observation(nn.Module):
    """p(x|z) given a decoder's outputs.

    Args:
        image_shape: ``(C, H, W)``.
    """

    outputs_per_pixel: int = 1

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.dims = math.prod(image_shape)

    def scaled(self, x: Tensor) -> Tensor:
        """`x` in [-1, 1], as encoders take it."""
        return 2 * x - 1

    def log_prob(self, x: Tensor, output: Tensor) -> Tensor:
        """log p(x|z) in nats summed over pixels, ``[..., n]``."""
        raise NotImplementedError

    def mean(self, output: Tensor) -> Tensor:
        """Mean images as intensities, ``[..., C, H, W]``, in [0, 1] unless the mean is an identity."""
        raise NotImplementedError

    def sample(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Draws of x, ``[..., C, H, W]``."""
        raise NotImplementedError

    def _images(self, flat: Tensor) -> Tensor:
        return flat.reshape(*flat.shape[:-1], *self.image_shape)


class Bernoulli(Observation):
    """Binary pixels; the outputs are logits."""

    def log_prob(self, x: Tensor, output: Tensor) -> Tensor:
        """log p(x|z) in nats summed over pixels, ``[..., n]``."""
        return bernoulli_log_prob(x.flatten(1), full_precision(output))

    def mean(self, output: Tensor) -> Tensor:
        """Probabilities of a 1, ``[..., C, H, W]``."""
        return self._images(torch.sigmoid(full_precision(output)))

    def sample(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Zeros and ones, ``[..., C, H, W]``."""
        means = self.mean(output)
        uniform = torch.rand(means.shape, generator=generator, device=means.device, dtype=means.dtype)
        return (uniform < means).to(means.dtype)


class LocationAndSpread(Observation):
    """A location from the decoder and a log spread from it, per pixel, or shared.

    Args:
        image_shape: ``(C, H, W)``.
        levels: L.
        variance: where log spreads come from.
        least_deviation: floor of the standard deviations, in pixel units.
        mean: ``sigmoid`` of the decoder's output, or the output itself (``identity``).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        variance: Variance = "network",
        least_deviation: float = 0.0,
        mean: Literal["sigmoid", "identity"] = "sigmoid",
    ) -> None:
        super().__init__(image_shape)
        self.levels, self.location = levels, mean
        self.least_log_spread = math.log(self.least_spread(least_deviation))
        self.outputs_per_pixel = 2 if variance == "network" else 1
        if variance != "network":
            self.raw_log_spread = nn.Parameter(torch.zeros(self.dims if variance == "pixel" else 1))

    def least_spread(self, least_deviation: float) -> float:
        """The spread that outputs only come near to."""
        raise NotImplementedError

    def parameters_of(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Location ``[..., C * H * W]`` and log spread, which may have a last axis of 1."""
        output = full_precision(output)
        location, raw = (
            output.chunk(2, dim=-1) if self.outputs_per_pixel == 2 else (output, self.raw_log_spread)
        )
        if self.location == "sigmoid":
            location = torch.sigmoid(location)
        return location, self.least_log_spread + F.softplus(raw - self.least_log_spread)


class Gaussian(LocationAndSpread):
    """Gaussian pixels of dequantised images; the log spread is the log variance."""

    def least_spread(self, least_deviation: float) -> float:
        """The least variance: dequantisation noise alone has 1 / (12 L^2), and no pixel has less."""
        return max(least_deviation**2, 1 / (12 * self.levels**2))

    def log_prob(self, x: Tensor, output: Tensor) -> Tensor:
        """log p(x|z) in nats summed over pixels, ``[..., n]``."""
        mean, log_variance = self.parameters_of(output)
        return gaussian_log_prob(x.flatten(1), mean, log_variance)

    def mean(self, output: Tensor) -> Tensor:
        """Means, ``[..., C, H, W]``."""
        return self._images(self.parameters_of(output)[0])

    def sample(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Draws, ``[..., C, H, W]``, which may leave [0, 1]."""
        mean, log_variance = self.parameters_of(output)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return self._images(mean + torch.exp(0.5 * log_variance) * noise)


class DiscretisedLogistic(LocationAndSpread):
    """Levels k whose probability is a logistic's mass between the mid-points around k / (L - 1).

    P(k) = F(k / (L-1) + 1 / (2(L-1))) - F(k / (L-1) - 1 / (2(L-1))), and the outermost levels take the tails
    (Salimans et al. 2017, eq. 2; Kingma et al. 2016). The log spread is that of the logistic's scale s; its
    standard deviation is s pi / sqrt(3).
    """

    @property
    def top(self) -> int:
        """The highest level."""
        return self.levels - 1

    def least_spread(self, least_deviation: float) -> float:
        """The least scale, a twentieth of a level unless the settings ask for more.

        Probabilities are bounded, so it only keeps gradients finite: there, a location in the middle of its
        level leaves 1e-4 to all others.
        """
        return max(least_deviation * math.sqrt(3) / math.pi, 0.05 / self.top)

    def scaled(self, x: Tensor) -> Tensor:
        """Levels in [-1, 1]."""
        return x.float() * (2 / self.top) - 1

    def log_prob(self, x: Tensor, output: Tensor) -> Tensor:
        """log P(k|z) in nats summed over pixels, ``[..., n]``.

        With edges a < b in units of the scale, F(b) - F(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)): no
        difference of nearly equal numbers, however far out the level is.
        """
        location, log_scale = self.parameters_of(output)
        levels = x.flatten(1)
        precision = torch.exp(-log_scale)
        upper = ((levels.to(location.dtype) + 0.5) / self.top - location) * precision
        width = precision / self.top
        below_top, above_bottom = levels < self.top, levels > 0
        log_mass = torch.where(below_top, F.logsigmoid(upper), 0.0)
        log_mass = log_mass + torch.where(above_bottom, F.logsigmoid(width - upper), 0.0)
        inner = torch.where(below_top & above_bottom, torch.log(-torch.expm1(-width)), 0.0)
        return (log_mass + inner).sum(-1)

    def mean(self, output: Tensor) -> Tensor:
        """Mean levels over L - 1, ``[..., C, H, W]``: the sum over k of P(level >= k)."""
        location, log_scale = self.parameters_of(output)
        precision, total = torch.exp(-log_scale), torch.zeros_like(location)
        for k in range(1, self.top + 1):
            total = total + torch.sigmoid((location - (k - 0.5) / self.top) * precision)
        return self._images(total / self.top)

    def sample(self, output: Tensor, generator: torch.Generator) -> Tensor:
        """Levels, int64 ``[..., C, H, W]``."""
        location, log_scale = self.parameters_of(output)
        uniform = torch.rand(location.shape, generator=generator, device=location.device, dtype=torch.float64)
        # A uniform of 0 gives -inf, which is the lowest level.
        drawn = location + torch.exp(log_scale) * torch.logit(uniform)
        return self._images((drawn * self.top).round().clamp(0, self.top).long())


def build_observation(
    settings: ObservationSettings, image_shape: tuple[int, int, int], levels: int
) -> Observation:
    """The observation model of the settings."""
    likelihood = likelihood_of(settings)
    if likelihood == "bernoulli":
        return Bernoulli(image_shape)
    kind = Gaussian if likelihood == "gaussian" else DiscretisedLogistic
    return kind(image_shape, levels, settings.variance, settings.least_deviation, settings.mean)


def full_precision(output: Tensor) -> Tensor:
    """A layer's output in float32 where autocast made it shorter: log-densities need the digits."""
    return output.float() if output.dtype in (torch.bfloat16, torch.float16) else output
