"""The two networks of the semi-supervised GAN (Salimans et al. 2016): the classifier and the generator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgmbench.models.semisupervised.noise import with_noise
from dgmbench.models.semisupervised.weight_norm import WeightNormLinear


class Discriminator(nn.Module):
    """K logits of a flat image.

    Args:
        sizes: width of the image and of the hidden layers.
        classes: K.
        input_noise: deviation of the noise on pixels.
        hidden_noise: deviation of the noise before every other layer.
    """

    def __init__(self, sizes: list[int], classes: int, input_noise: float, hidden_noise: float) -> None:
        super().__init__()
        pairs = itertools.pairwise(sizes)
        self.layers = nn.ModuleList(WeightNormLinear(i, o, train_scale=False) for i, o in pairs)
        self.logits = WeightNormLinear(sizes[-1], classes, train_scale=True)
        self.deviations = [input_noise] + [hidden_noise] * (len(sizes) - 1)

    def hidden(self) -> Iterator[WeightNormLinear]:
        """The layers before the logits."""
        for layer in self.layers:
            assert isinstance(layer, WeightNormLinear)
            yield layer

    def features(self, x: Tensor, noise: torch.Generator | None, *, frozen: bool = False) -> Tensor:
        """The last hidden layer, ``[n, width]``, without noise where `noise` is None.

        Where `frozen`, gradients reach x but no parameter.
        """
        for layer, deviation in zip(self.hidden(), self.deviations, strict=False):
            x = F.relu(layer(with_noise(x, deviation, noise), frozen=frozen), inplace=True)
        return x

    def forward(self, x: Tensor, noise: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """The last hidden layer ``[n, width]`` and logits ``[n, K]``."""
        features = self.features(x, noise)
        return features, self.logits(with_noise(features, self.deviations[-1], noise))

    @torch.no_grad()
    def initialise(self, x: Tensor, noise: torch.Generator) -> None:
        """Data-dependent initialisation of one layer after the other, the noise of training included."""
        for layer, deviation in zip(self.hidden(), self.deviations, strict=False):
            x = F.relu(layer.initialise(with_noise(x, deviation, noise)))
        self.logits.initialise(with_noise(x, self.deviations[-1], noise))


class Generator(nn.Module):
    """From z to a flat image in (0, 1): softplus layers whose batch norm has a bias and no gain.

    Args:
        sizes: width of z and of the hidden layers.
        outputs: width of the image.
    """

    def __init__(self, sizes: list[int], outputs: int) -> None:
        super().__init__()
        self.linear, self.norms, self.biases = nn.ModuleList(), nn.ModuleList(), nn.ParameterList()
        for i, o in itertools.pairwise(sizes):
            linear = nn.Linear(i, o, bias=False)
            nn.init.xavier_uniform_(linear.weight)
            self.linear.append(linear)
            self.norms.append(nn.BatchNorm1d(o, eps=1e-6, affine=False))
            self.biases.append(nn.Parameter(torch.zeros(o)))
        self.pixels = WeightNormLinear(sizes[-1], outputs, train_scale=True)
        nn.init.xavier_uniform_(self.pixels.direction)

    def forward(self, z: Tensor) -> Tensor:
        """``[n, outputs]`` intensities."""
        for linear, norm, bias in zip(self.linear, self.norms, self.biases, strict=True):
            z = F.softplus(norm(linear(z)) + bias)
        return torch.sigmoid(self.pixels(z))
