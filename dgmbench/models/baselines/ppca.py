"""Probabilistic principal component analysis (Tipping & Bishop 1999), in closed form.

x = W z + mean + noise with z ~ N(0, I_q) and noise ~ N(0, sigma^2 I_d). The maximum-likelihood W spans
the leading q eigenvectors of the sample covariance and sigma^2 is the mean of the other eigenvalues
(eqs. 7 and 8). On gray images it is a density of dequantised data.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import SettingsError
from dgmbench.models.base import Model, ModelSettings
from dgmbench.models.parts.densities import standard_normal_log_prob
from dgmbench.terms import LEVELLED, ViewName


class PPCASettings(ModelSettings):
    """PPCA's settings: the latent dimensions among which validation chooses."""

    latent_dims: list[PositiveInt] = Field(
        min_length=1, description="candidates; the best on validation is kept"
    )


class PPCA(Model):
    """Probabilistic PCA; parameters in float64, fitted by `fit`."""

    Settings = PPCASettings
    views: ClassVar[tuple[ViewName, ...]] = LEVELLED

    mean: Tensor
    basis: Tensor
    eigenvalues: Tensor
    noise_variance: Tensor
    rank: Tensor

    def __init__(self, settings: PPCASettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        largest = max(settings.latent_dims)
        if largest >= self.dims:
            raise SettingsError(f"latent_dims: {largest} is not below the image's {self.dims} dimensions")
        self.candidates = sorted(settings.latent_dims)
        self.register_buffer("mean", torch.zeros(self.dims, dtype=torch.float64))
        # Columns beyond `rank` are zero, so that the shape does not depend on what validation chose.
        self.register_buffer("basis", torch.zeros(self.dims, largest, dtype=torch.float64))
        self.register_buffer("eigenvalues", torch.ones(largest, dtype=torch.float64))
        self.register_buffer("noise_variance", torch.ones((), dtype=torch.float64))
        self.register_buffer("rank", torch.zeros((), dtype=torch.int64))

    @property
    def latent_dim(self) -> int:
        """q, the number of components in use."""
        return int(self.rank)

    def parameter_count(self) -> int:
        """d + d q + 1: the mean, the loadings W and the noise variance (rotations of W not discounted)."""
        return self.dims * (1 + self.latent_dim) + 1

    def fit(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Fit to ``train [n, C, H, W]`` and keep the q with the best likelihood of `valid`."""
        flat = train.x.flatten(1).double()
        self.mean.copy_(flat.mean(0))
        centred = flat - self.mean
        values, vectors = torch.linalg.eigh(centred.T @ centred / (len(flat) - 1))
        spectrum = values.flip(0).clamp_min(0.0), vectors.flip(1)
        losses = {}
        for q in self.candidates:
            self._keep(*spectrum, q)
            losses[q] = -float(self.log_prob(valid.x).mean())
        best = min(losses, key=lambda q: losses[q])
        self._keep(*spectrum, best)
        return {"loss": losses[best], "latent_dim": float(best)}

    def _keep(self, values: Tensor, vectors: Tensor, q: int) -> None:
        self.basis.zero_()
        self.basis[:, :q] = vectors[:, :q]
        self.eigenvalues.fill_(1.0)
        self.eigenvalues[:q] = values[:q]
        self.noise_variance.copy_(values[q:].mean())
        self.rank.fill_(q)

    def log_prob(self, x: Tensor) -> Tensor:
        """Density of ``x [n, C, H, W]`` in nats, ``[n]`` float64: the N(mean, W W' + sigma^2 I) of eq. 4."""
        q = self.latent_dim
        centred = x.flatten(1).double() - self.mean
        scores = centred @ self.basis[:, :q]
        inside = (scores.square() / self.eigenvalues[:q]).sum(1)
        outside = (centred.square().sum(1) - scores.square().sum(1)) / self.noise_variance
        log_det = self.eigenvalues[:q].log().sum() + (self.dims - q) * self.noise_variance.log()
        return -0.5 * (self.dims * math.log(2 * math.pi) + log_det + inside + outside)

    def encode(self, x: Tensor) -> Tensor:
        """Posterior means ``[n, q]`` of the latents, float64: M^-1 W'(x - mean), section 3.2."""
        return (
            (x.flatten(1).double() - self.mean) @ self.basis[:, : self.latent_dim] @ self._posterior_scale()
        )

    def _posterior_scale(self) -> Tensor:
        values = self.eigenvalues[: self.latent_dim]
        return torch.diag((values - self.noise_variance).clamp_min(0.0).sqrt() / values)

    def gaussian_posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of p(z|x), each ``[n, q]``: diagonal in this basis, sigma^2 M^-1."""
        mean = self.encode(x)
        variance = self.noise_variance / self.eigenvalues[: self.latent_dim]
        return mean, variance.log().expand_as(mean)

    def loadings(self) -> Tensor:
        """W ``[d, q]``, float64 (eq. 7 with R = I)."""
        q = self.latent_dim
        return self.basis[:, :q] * (self.eigenvalues[:q] - self.noise_variance).clamp_min(0.0).sqrt()

    def decode(self, z: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` of p(x|z) for ``z [n, q]``; linear, so not confined to [0, 1]."""
        return (z.double() @ self.loadings().T + self.mean).reshape(-1, *self.image_shape)

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, q]`` float64 draws of N(0, I)."""
        return self._normal((n, self.latent_dim), generator)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log N(z; 0, I) in nats, summed over the last axis."""
        return standard_normal_log_prob(z)

    def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats for ``x [n, C, H, W]``, ``z [..., n, q]``: ``[..., n]``."""
        residual = x.flatten(1).double() - self.mean - z.double() @ self.loadings().T
        constant = self.dims * (math.log(2 * math.pi) + self.noise_variance.log())
        return -0.5 * (residual.square().sum(-1) / self.noise_variance + constant)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` float64 draws of the Gaussian; a few pixels fall outside [0, 1]."""
        return self.decoder_sample(self.prior_sample(n, generator), generator)

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` float64 draws of p(x|z) for ``z [n, q]``."""
        noise = self._normal((len(z), *self.image_shape), generator)
        return self.decode(z) + self.noise_variance.sqrt() * noise

    def _normal(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        return torch.randn(shape, generator=generator, device=self.mean.device, dtype=torch.float64)
