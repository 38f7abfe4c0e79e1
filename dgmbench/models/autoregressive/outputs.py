"""Distributions of a pixel given a network's output there: Bernoulli, softmax, mixture of logistics.

Each one is exact on discrete values, colour channels in order, and draws a channel by inverting its
distribution function at a uniform number, so that equal noise gives equal images.

Shapes: ``raw [n, size, ...]`` is the network's output, ``x [n, C, ...]`` the pixel's values (0/1 or levels
0..L-1), with the same trailing dimensions, if any.
"""

from __future__ import annotations

import itertools
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

# PixelCNN++'s floor: a scale of e^-7 of the half range is narrower than any 8-bit level.
LEAST_LOG_SCALE = -7.0
# A scale of e^20 half ranges is flat to the last digit; from e^88 on float32 has no such number.
LARGEST_LOG_SCALE = 20.0


class PixelOutput(Protocol):
    """What a network's output at a pixel says of the pixel.

    size: numbers that it takes per pixel.
    groups: channel groups that the network separates; 1 if the output distribution links the channels.
    """

    size: int
    groups: int

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """``[n]`` nats of x, summed over channels and trailing dimensions."""
        ...

    def class_logits(self, raw: Tensor, x: Tensor) -> Tensor:
        """``[n, C, classes, ...]``: each channel's logits given the channels of x before it.

        One class, of a 1, for binary channels.
        """
        ...

    def draw(self, raw: Tensor, x: Tensor, channel: int, uniforms: Tensor) -> Tensor:
        """``[n]`` values of `channel` given the channels before it: ``raw [n, size]``, ``x [n, C]``."""
        ...


class Bernoulli:
    """A logit per channel."""

    def __init__(self, channels: int) -> None:
        self.size = self.groups = channels

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """``[n]`` nats."""
        losses = F.binary_cross_entropy_with_logits(raw, x.to(raw.dtype), reduction="none")
        return -losses.flatten(1).sum(1)

    def class_logits(self, raw: Tensor, x: Tensor) -> Tensor:
        """``[n, C, 1, ...]``."""
        return raw.unsqueeze(2)

    def draw(self, raw: Tensor, x: Tensor, channel: int, uniforms: Tensor) -> Tensor:
        """0/1 as bool ``[n]``."""
        return invert(raw[:, channel, None], uniforms)


class Softmax:
    """A logit per channel and level."""

    def __init__(self, channels: int, levels: int) -> None:
        self.groups, self.levels = channels, levels
        self.size = channels * levels

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """``[n]`` nats."""
        losses = F.cross_entropy(self.class_logits(raw, x).transpose(1, 2), x.long(), reduction="none")
        return -losses.flatten(1).sum(1)

    def class_logits(self, raw: Tensor, x: Tensor) -> Tensor:
        """``[n, C, levels, ...]``."""
        return raw.unflatten(1, (self.groups, self.levels))

    def draw(self, raw: Tensor, x: Tensor, channel: int, uniforms: Tensor) -> Tensor:
        """Levels ``[n]``."""
        return invert(self.class_logits(raw, x)[:, channel], uniforms)


class LogisticMixture:
    """A mixture of discretised logistics (Salimans et al. 2017, PixelCNN++, section 2.1 and 2.2).

    One component is chosen for all channels of a pixel; the mean of a channel moves linearly with the
    channels before it (eq. 3). With F_k the logistic distribution function of component k over [-1, 1],

        P(level) = sum_k w_k [F_k(level + 1/2) - F_k(level - 1/2)],

    the lowest and highest level taking the tails (eq. 2).
    """

    groups = 1

    def __init__(self, channels: int, levels: int, components: int) -> None:
        self.channels, self.levels, self.components = channels, levels, components
        self.pairs = list(itertools.combinations(range(channels), 2))
        self.size = components * (1 + 2 * channels + len(self.pairs))

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """``[n]`` nats."""
        log_weights, means, log_scales = self._components(raw, x)
        logs = self._log_level(x.unsqueeze(2), means, log_scales).sum(1)
        return torch.logsumexp(log_weights + logs, 1).reshape(len(x), -1).sum(1)

    def class_logits(self, raw: Tensor, x: Tensor) -> Tensor:
        """``[n, C, levels, ...]``."""
        log_weights, means, log_scales = self._components(raw, x)
        logs = self._log_level(x.unsqueeze(2), means, log_scales)
        weights = log_weights.unsqueeze(1) + logs.cumsum(1) - logs
        levels = torch.arange(self.levels, device=raw.device).view(-1, 1, *[1] * (raw.ndim - 2))
        of_levels = self._log_level(levels, means.unsqueeze(2), log_scales.unsqueeze(2))
        return torch.logsumexp(weights.log_softmax(2).unsqueeze(2) + of_levels, 3)

    def draw(self, raw: Tensor, x: Tensor, channel: int, uniforms: Tensor) -> Tensor:
        """Levels ``[n]``: the number of levels whose distribution function is at most the uniform."""
        log_weights, means, log_scales = (part.double() for part in self._components(raw, x))
        logs = self._log_level(x[:, :channel, None], means[:, :channel], log_scales[:, :channel])
        weights = torch.softmax(log_weights + logs.sum(1), 1)
        edges = self._scaled(torch.arange(self.levels - 1, device=raw.device) + 0.5, weights)
        standard = (edges - means[:, channel, :, None]) * torch.exp(-log_scales[:, channel, :, None])
        cumulative = (weights[:, :, None] * torch.sigmoid(standard)).sum(1)
        return (uniforms[:, None] >= cumulative).sum(1)

    def _components(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights ``[n, K, ...]``; means given earlier channels, log scales ``[n, C, K, ...]``."""
        parts = raw.unflatten(1, (-1, self.components))
        c = self.channels
        means = list(parts[:, 1 : 1 + c].unbind(1))
        values = self._scaled(x, raw).unsqueeze(2)
        for index, (earlier, later) in enumerate(self.pairs):
            means[later] = means[later] + torch.tanh(parts[:, 1 + 2 * c + index]) * values[:, earlier]
        log_scales = parts[:, 1 + c : 1 + 2 * c].clamp(LEAST_LOG_SCALE, LARGEST_LOG_SCALE)
        return parts[:, 0].log_softmax(1), torch.stack(means, 1), log_scales

    def _scaled(self, x: Tensor, like: Tensor) -> Tensor:
        return x.to(like.dtype) * (2 / (self.levels - 1)) - 1

    def _log_level(self, level: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
        """log of one component's probability of `level`, exact at any scale.

        F(b) - F(a) = F(b) (1 - F(a)) (1 - exp(a - b)) for a logistic F, which nothing cancels in.
        """
        half, precision = 1 / (self.levels - 1), torch.exp(-log_scales)
        centred = self._scaled(level, means) - means
        below = F.logsigmoid(precision * (centred + half))
        above = F.logsigmoid(-precision * (centred - half))
        inside = torch.log(-torch.expm1(-2 * half * precision))
        lowest, highest = level == 0, level == self.levels - 1
        below = torch.where(highest, 0.0, below)
        above = torch.where(lowest, 0.0, above)
        return below + above + torch.where(lowest | highest, 0.0, inside)


def invert(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Draws by inverting the distribution function at `uniforms` ``[n]``, for ``logits [n, classes]``."""
    if logits.shape[1] == 1:
        return uniforms < torch.sigmoid(logits[:, 0].double())
    cumulative = torch.softmax(logits.double(), 1).cumsum(1)
    # The last class takes what rounding leaves of the total.
    return (uniforms[:, None] >= cumulative[:, :-1]).sum(1)
