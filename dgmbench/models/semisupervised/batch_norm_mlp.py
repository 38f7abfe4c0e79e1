"""A multi-layer perceptron with batch norm after every linear layer, that of the logits included."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn


class BatchNormMLP(nn.Module):
    """Linear layers without bias, batch norm with gain and bias, ReLU between.

    Args:
        sizes: width of the inputs, of the hidden layers and of the logits.
    """

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.linear, self.norms = nn.ModuleList(), nn.ModuleList()
        for inputs, outputs in itertools.pairwise(sizes):
            self.linear.append(nn.Linear(inputs, outputs, bias=False))
            self.norms.append(nn.BatchNorm1d(outputs, eps=1e-6))

    def features(self, x: Tensor, *, keep: bool = False) -> Tensor:
        """The last hidden layer ``[n, width]``; in training `keep` moves the running moments."""
        for place in range(len(self.linear) - 1):
            x = F.relu(self._layer(place, x, keep))
        return x

    def forward(self, x: Tensor, *, keep: bool = False) -> Tensor:
        """``[n, K]`` logits, by the moments of this batch in training and by the running ones otherwise."""
        return self._layer(len(self.linear) - 1, self.features(x, keep=keep), keep)

    def _layer(self, place: int, x: Tensor, keep: bool) -> Tensor:
        norm, outputs = self.norms[place], self.linear[place](x)
        if keep or not self.training:
            return norm(outputs)
        assert isinstance(norm, nn.BatchNorm1d)
        return F.batch_norm(outputs, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)
