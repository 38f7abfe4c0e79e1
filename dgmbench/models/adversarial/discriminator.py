"""The discriminator of a generative adversarial network, whatever its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Discriminator(nn.Module):
    """Layers one after the other, and one linear output.

    Args:
        layers: each takes the output of the one before; the first takes images scaled to [-1, 1].
        width: features of an image after the last layer, flattened.
        draw: sets the first weights of the output layer.
        spectral: hold the largest singular value of every weight at 1 (Miyato et al. 2018, eq. 8).
        dropout: share of features dropped after each layer.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        width: int,
        *,
        spectral: bool,
        dropout: float,
        draw: Callable[[nn.Module], None] | None = None,
    ) -> None:
        super().__init__()
        self.layers, self.verdict = nn.ModuleList(layers), nn.Linear(width, 1)
        if draw is not None:
            draw(self.verdict)
        self.dropout = dropout
        if spectral:
            for module in list(self.modules()):
                if isinstance(module, (nn.Linear, nn.Conv2d)):
                    spectral_norm(module)

    def features(self, x: Tensor, noise: torch.Generator | None = None) -> list[Tensor]:
        """What each layer gives for ``x [n, C, H, W]`` in [0, 1]; `noise` draws dropout, None has none."""
        hidden, found = 2 * x - 1, []
        for layer in self.layers:
            hidden = layer(hidden)
            if noise is not None and self.dropout > 0:
                kept = torch.rand(hidden.shape, generator=noise, device=hidden.device) >= self.dropout
                hidden = hidden * kept / (1 - self.dropout)
            found.append(hidden)
        return found

    def forward(self, x: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """Outputs s(x), ``[n]``."""
        return self.verdict(self.features(x, noise)[-1].flatten(1)).squeeze(1)
