"""One Gaussian with a full covariance matrix: all that the pixels' second moments say.

The sample covariance S of n images is shrunk towards its own diagonal, (1 - a) S + a diag(S) (Schaefer &
Strimmer 2005, target D), and validation chooses `a`, where they use a closed form. The diagonal,
not a multiple of the identity (Ledoit & Wolf 2004), because pixels differ: at an image's border the variance
is that of the dequantisation noise alone, in its middle 10^5 times as much, and the weight that regularises
the middle would drown the border. The last candidate, a = 1, is a product of Gaussians. On gray images it is
a density of dequantised data that spills over [0, 1]^d.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Model, ModelSettings
from dgmbench.terms import LEVELLED, ViewName

# Above 0, so that the covariance can be inverted even with fewer images than pixels.
Shrinkage = Annotated[float, Field(gt=0, le=1)]


class GaussianSettings(ModelSettings):
    """The shrinkages among which validation chooses."""

    shrinkages: list[Shrinkage] = Field(
        [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0],
        min_length=1,
        description="candidates for a; the best on validation is kept",
    )


class Gaussian(Model):
    """N(mean, D U diag(v) U' D): D the pixels' deviations, U and v of the (shrunk) correlation matrix."""

    Settings = GaussianSettings
    views: ClassVar[tuple[ViewName, ...]] = LEVELLED

    mean: Tensor
    deviations: Tensor
    basis: Tensor
    eigenvalues: Tensor

    def __init__(self, settings: GaussianSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.candidates = sorted(settings.shrinkages)
        self.register_buffer("mean", torch.zeros(self.dims, dtype=torch.float64))
        self.register_buffer("deviations", torch.ones(self.dims, dtype=torch.float64))
        self.register_buffer("basis", torch.eye(self.dims, dtype=torch.float64))
        self.register_buffer("eigenvalues", torch.ones(self.dims, dtype=torch.float64))

    def parameter_count(self) -> int:
        """d + d (d + 1) / 2: the mean and the symmetric covariance."""
        return self.dims + self.dims * (self.dims + 1) // 2

    def fit(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Fit to ``train [n, C, H, W]`` and keep the shrinkage with the best likelihood of `valid`.

        Shrinking leaves the eigenvectors of the correlation matrix alone and moves its eigenvalues v to
        (1 - a) v + a, so that one decomposition serves all candidates.
        """
        values = self._decompose(train.x)
        losses = {}
        for shrinkage in self.candidates:
            self._keep(values, shrinkage)
            losses[shrinkage] = -float(self.log_prob(valid.x).mean())
        best = min(losses, key=lambda shrinkage: losses[shrinkage])
        self._keep(values, best)
        return {"loss": losses[best], "shrinkage": best}

    def _decompose(self, train: Tensor) -> Tensor:
        """Set mean, deviations and basis; returns the eigenvalues of the sample correlation matrix."""
        flat = train.flatten(1).double()
        self.mean.copy_(flat.mean(0))
        centred = flat - self.mean
        # Dequantisation noise alone has a variance of 1 / (12 L^2): no true pixel variance is less.
        variances = centred.var(0, correction=0).clamp_min(1 / (12 * self.levels**2))
        self.deviations.copy_(variances.sqrt())
        scaled = centred.div_(self.deviations)
        values, vectors = torch.linalg.eigh(scaled.T @ scaled / len(flat))
        self.basis.copy_(vectors)
        return values.clamp_min(0.0)

    def _keep(self, values: Tensor, shrinkage: float) -> None:
        self.eigenvalues.copy_((1 - shrinkage) * values + shrinkage)

    def covariance(self) -> Tensor:
        """The covariance matrix ``[d, d]``, float64."""
        correlation = (self.basis * self.eigenvalues) @ self.basis.T
        return correlation * self.deviations * self.deviations[:, None]

    def log_prob(self, x: Tensor) -> Tensor:
        """Density of ``x [n, C, H, W]`` in nats, ``[n]`` float64."""
        scores = ((x.flatten(1).double() - self.mean) / self.deviations) @ self.basis
        log_det = self.eigenvalues.log().sum() + 2 * self.deviations.log().sum()
        distances = (scores.square() / self.eigenvalues).sum(1)
        return -0.5 * (self.dims * math.log(2 * math.pi) + log_det + distances)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` float64 draws; pixels may fall outside [0, 1]."""
        noise = torch.randn((n, self.dims), generator=generator, device=self.mean.device, dtype=torch.float64)
        draws = self.mean + (noise * self.eigenvalues.sqrt()) @ self.basis.T * self.deviations
        return draws.reshape(n, *self.image_shape)
