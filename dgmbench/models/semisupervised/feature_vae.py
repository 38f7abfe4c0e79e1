"""M1 of Kingma, Mohamed, Rezende & Welling 2014 (section 2.1): a VAE whose latents are features.

p(x|z) is Bernoulli with softplus networks. Images are binarised afresh in every batch, each pixel by its
intensity. Features are q(z|x) of the gray image, without noise in the pixels.

Weights start smaller than would suit a softplus best (`GAIN`). With 2 the ELBO rose sooner, but few labels
went less far: logistic regression on MNIST features, 100 labels, had a validation error of 27 % against 21 to
24 % (two label sets, one training each, step sizes 1.5e-3 and 1e-3).

Dimensions of z that the VAE does not use have a posterior mean near 0 for every image. Features are those
whose mean has a standard deviation above .1 over 1,000 training images. The rest is masked, so that the width
of what reads the features does not depend on the training and weights load.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dgmbench.data.pixels import binarise, intensity
from dgmbench.models.latent.decoding import bernoulli_log_prob
from dgmbench.models.parts.observations import full_precision
from dgmbench.models.parts.softplus import softplus_layers, start_layers

# Of the weights at the start.
GAIN = 1.0
# What makes a dimension a feature, and how many images decide.
LEAST_DEVIATION, DECIDING = 0.1, 1000


class FeatureVAE(nn.Module):
    """Encoder, decoder and the mask of the features.

    Args:
        image_shape: ``(C, H, W)``.
        levels: L of the images.
        latent_dim: dimensions of z.
        hidden: the encoder's widths; the decoder mirrors them.
    """

    used: Tensor

    def __init__(
        self, image_shape: tuple[int, int, int], levels: int, latent_dim: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        self.image_shape, self.levels, self.latent_dim = image_shape, levels, latent_dim
        dims = math.prod(image_shape)
        self.encoder = nn.Sequential(
            *start_layers(softplus_layers([dims, *hidden]), GAIN), nn.Linear(hidden[-1], 2 * latent_dim)
        )
        self.decoder = nn.Sequential(
            *start_layers(softplus_layers([latent_dim, *reversed(hidden)]), GAIN), nn.Linear(hidden[0], dims)
        )
        self.register_buffer("used", torch.ones(latent_dim))

    def loss(self, levels: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative ELBO of images ``[n, C, H, W]`` in levels and its two parts, batch means in nats."""
        pixels = binarise(levels, self.levels, generator).flatten(1)
        mean, log_variance = self._posterior(pixels)
        deviation = torch.exp(0.5 * log_variance)
        kl = (0.5 * (mean.square() + deviation.square() - log_variance - 1).sum(-1)).mean()
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        logits = full_precision(self.decoder(mean + deviation * noise))
        reconstruction = bernoulli_log_prob(pixels, logits).mean()
        return {"loss": kl - reconstruction, "reconstruction": -reconstruction, "kl": kl}

    def _posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = full_precision(self.encoder(pixels)).chunk(2, -1)
        return mean, log_variance

    def codes(self, levels: Tensor) -> Tensor:
        """Mean and log-variance of q(z|x) for gray images in levels, ``[n, 2, latent_dim]``."""
        return torch.stack(self._posterior(intensity(levels, self.levels).flatten(1)), 1)

    def features(self, levels: Tensor) -> Tensor:
        """Means of q(z|x), ``[n, latent_dim]``, 0 in the dimensions that are no features."""
        return self.codes(levels)[:, 0] * self.used

    @torch.no_grad()
    def choose_features(self, codes: Tensor) -> None:
        """Keep the dimensions whose mean varies over the first of ``codes [n, 2, latent_dim]``; else all."""
        used = codes[:DECIDING, 0].std(0, correction=0) > LEAST_DEVIATION
        self.used.copy_(used if used.any() else torch.ones_like(used))

    def images(self, z: Tensor) -> Tensor:
        """Mean images of p(x|z) in [0, 1], ``[n, C, H, W]``, for ``z [n, latent_dim]``."""
        return torch.sigmoid(full_precision(self.decoder(z))).reshape(-1, *self.image_shape)
