"""A multi-layer perceptron with batch norm after every hidden linear layer."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn


class BatchNormMLP(nn.Module):
    """Linear layers without bias, batch norm with gain and bias, ReLU; then a linear layer of logits.

    Args:
        sizes: width of the inputs, of the hidden layers and of the logits.
    """

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.linear, self.norms = nn.ModuleList(), nn.ModuleList()
        for inputs, outputs in itertools.pairwise(sizes[:-1]):
            self.linear.append(nn.Linear(inputs, outputs, bias=False))
            self.norms.append(nn.BatchNorm1d(outputs, eps=1e-6))
        self.last = nn.Linear(sizes[-2], sizes[-1])

    def features(self, x: Tensor, *, keep: bool = False) -> Tensor:
        """The last hidden layer ``[n, width]``; in training `keep` moves the running moments."""
        for linear, norm in zip(self.linear, self.norms, strict=True):
            x = F.relu(self._normalised(norm, linear(x), keep))
        return x

    def forward(self, x: Tensor, *, keep: bool = False) -> Tensor:
        """``[n, K]`` logits, by the moments of this batch in training and by the running ones otherwise."""
        return self.last(self.features(x, keep=keep))

    def _normalised(self, norm: nn.Module, outputs: Tensor, keep: bool) -> Tensor:
        if keep or not self.training:
            return norm(outputs)
        assert isinstance(norm, nn.BatchNorm1d)
        return F.batch_norm(outputs, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)
