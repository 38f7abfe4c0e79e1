"""A mixture of Gaussians, fitted by scikit-learn's EM (Dempster, Laird & Rubin 1977).

On gray images it is a density of dequantised data that spills over [0, 1]^d. `reg_covar`, which EM adds to
every variance, decides more than anything else here: a component that sees one level only at some pixel
would take the dequantisation noise for that pixel's spread and give any other level next to no density. So
validation chooses it together with the number of components.

Cost of one EM iteration: n d K for diagonal and spherical covariances, n d^2 K for full ones; the setting
`images` has EM see a random part of the training images where that is too long.
"""

from __future__ import annotations

import itertools
import math
import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from threadpoolctl import threadpool_limits
from torch import Tensor
from tqdm import tqdm

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import SettingsError
from dgmbench.models.base import Model, ModelSettings
from dgmbench.terms import LEVELLED, ViewName

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture as ScikitMixture


class GaussianMixtureSettings(ModelSettings):
    """The form of the covariances, the candidates that validation chooses among, and EM's budget."""

    covariance: Literal["full", "tied", "diag", "spherical"] = Field(
        "diag", description="of a component; tied: one full matrix for all"
    )
    components: list[PositiveInt] = Field(min_length=1, description="candidates for K")
    reg_covar: list[PositiveFloat] = Field(
        [1e-5, 1e-4, 1e-3], min_length=1, description="candidates for what is added to each variance"
    )
    starts: PositiveInt = Field(1, description="k-means starts; the one with the best likelihood is kept")
    images: PositiveInt | None = Field(None, description="training images that EM sees; null: all")
    max_iterations: PositiveInt = Field(100, description="of EM, for each start")
    tolerance: PositiveFloat = Field(1e-3, description="EM ends at a gain below this, nats per image")


class GaussianMixture(Model):
    """sum_k w_k N(mean_k, (P_k P_k')^-1) in float64; scikit-learn fits, torch evaluates and draws."""

    Settings = GaussianMixtureSettings
    views: ClassVar[tuple[ViewName, ...]] = LEVELLED

    log_proportions: Tensor
    means: Tensor
    factors: Tensor
    components: Tensor

    def __init__(self, settings: GaussianMixtureSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.settings = settings
        self.candidates = list(itertools.product(sorted(settings.components), sorted(settings.reg_covar)))
        largest, d = max(settings.components), self.dims
        shapes = {"full": (largest, d, d), "tied": (1, d, d), "diag": (largest, d), "spherical": (largest, 1)}
        # Rows beyond `components` are not used, so that no shape depends on what validation chose.
        self.register_buffer("log_proportions", torch.full((largest,), -math.inf, dtype=torch.float64))
        self.register_buffer("means", torch.zeros(largest, d, dtype=torch.float64))
        # P: upper triangular matrices, or the inverse deviations of independent pixels.
        shape = shapes[settings.covariance]
        self.register_buffer("factors", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("components", torch.zeros((), dtype=torch.int64))

    def parameter_count(self) -> int:
        """K - 1 weights, K d means and the distinct entries of the covariances."""
        k, d = int(self.components), self.dims
        matrix = d * (d + 1) // 2
        covariances = {"full": k * matrix, "tied": matrix, "diag": k * d, "spherical": k}
        return k - 1 + k * d + covariances[self.settings.covariance]

    def fit(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Run EM for every candidate on ``train [n, C, H, W]``; keep the best likelihood of `valid`.

        Every candidate starts from the same seed, so that its fit does not depend on the others. One whose
        covariance degenerates is reported on standard error and left out; if all do, the loss is inf.

        Raises:
            SettingsError: if there are fewer images than components.
        """
        data = self._seen(train.x, generator)
        seed = int(torch.randint(2**31 - 1, (), generator=generator, device=generator.device))
        best: dict[str, float] = {"loss": math.inf}
        kept: ScikitMixture | None = None
        for components, floor in tqdm(self.candidates, desc="EM", delay=2.0, disable=None, leave=False):
            fitted = self._expectation_maximisation(data, components, floor, seed)
            if fitted is None:
                continue
            self._keep(fitted)
            loss = -float(self.log_prob(valid.x).mean())
            if loss < best["loss"]:
                kept, best = fitted, {"loss": loss, "components": components, "reg_covar": floor}
                best |= {"iterations": fitted.n_iter_, "converged": float(fitted.converged_)}
        if kept is not None:
            self._keep(kept)
        return best

    def _seen(self, train: Tensor, generator: torch.Generator) -> Any:
        """The images that EM sees, as a float64 array ``[n, d]``."""
        if self.settings.images is not None:
            order = torch.randperm(len(train), generator=generator, device=generator.device)
            train = train[order[: self.settings.images].to(train.device)]
        largest = max(self.settings.components)
        if largest > len(train):
            raise SettingsError(f"components: {largest} is more than the {len(train)} images that EM sees")
        return train.flatten(1).double().cpu().numpy()

    def _expectation_maximisation(
        self, data: Any, components: int, floor: float, seed: int
    ) -> ScikitMixture | None:
        # Its import takes seconds, and the check of settings imports every family.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as ScikitMixture

        mixture = ScikitMixture(
            components,
            covariance_type=self.settings.covariance,
            reg_covar=floor,
            tol=self.settings.tolerance,
            max_iter=self.settings.max_iterations,
            n_init=self.settings.starts,
            random_state=seed,
        )
        # k-means adds up its threads' sums in the order in which they finish: one thread repeats exactly. And
        # matrices as small as these only make BLAS threads wait for each other.
        with warnings.catch_warnings(), threadpool_limits(1):
            # Whether EM converged is among the numbers that `fit` returns.
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                return mixture.fit(data)
            except ValueError as error:
                print(f"{components} components, reg_covar {floor:g} left out: {error}", file=sys.stderr)
                return None

    def _keep(self, fitted: ScikitMixture) -> None:
        k = len(fitted.weights_)
        factors = torch.from_numpy(fitted.precisions_cholesky_).reshape(-1, *self.factors.shape[1:])
        self.log_proportions.fill_(-math.inf)
        self.log_proportions[:k] = torch.from_numpy(fitted.weights_).log()
        self.means[:k] = torch.from_numpy(fitted.means_)
        self.factors[: len(factors)] = factors
        self.components.fill_(k)

    def _log_joint(self, x: Tensor) -> Tensor:
        """log w_k + log N(x; component k), ``[n, K]`` float64."""
        flat, k = x.flatten(1).double(), int(self.components)
        squares = self._squared_by_matrix(flat, k) if self.factors.ndim == 3 else self._squared(flat, k)
        constant = (
            self.log_proportions[:k] + self._log_determinants(k) - 0.5 * self.dims * math.log(2 * math.pi)
        )
        return constant - 0.5 * squares

    def _squared(self, flat: Tensor, k: int) -> Tensor:
        """Mahalanobis distances ``[n, K]``, squared, for independent pixels; the square is multiplied out."""
        precisions = self.factors[:k].square().expand(k, self.dims)
        pulls = self.means[:k] * precisions
        offsets = (self.means[:k] * pulls).sum(1)
        return offsets + flat.square() @ precisions.T - 2 * flat @ pulls.T

    def _squared_by_matrix(self, flat: Tensor, k: int) -> Tensor:
        pairs = zip(self.means[:k], self._matrices(k), strict=True)
        return torch.stack([((flat - mean) @ factor).square().sum(1) for mean, factor in pairs], dim=1)

    def _matrices(self, k: int) -> Iterable[Tensor]:
        return self.factors[:k].expand(k, -1, -1)

    def _log_determinants(self, k: int) -> Tensor:
        """log |P_k|: half the log determinants of the precisions, ``[K]``."""
        if self.factors.ndim == 3:
            return torch.stack([factor.diagonal().log().sum() for factor in self._matrices(k)])
        return self.factors[:k].log().expand(k, self.dims).sum(1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Density of ``x [n, C, H, W]`` in nats, ``[n]`` float64."""
        return torch.logsumexp(self._log_joint(x), 1)

    def encode(self, x: Tensor) -> Tensor:
        """Responsibilities of the components, ``[n, K]`` float64."""
        return torch.softmax(self._log_joint(x), 1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` float64 draws; pixels may fall outside [0, 1]."""
        return self.decoder_sample(self.prior_sample(n, generator), generator)

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n]`` components, int64, drawn by their proportions."""
        proportions = self.log_proportions[: int(self.components)].exp()
        return torch.multinomial(proportions, n, replacement=True, generator=generator)

    def decode(self, z: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` of the components ``z [n]``, float64; not confined to [0, 1]."""
        return self.means[z].reshape(-1, *self.image_shape)

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` float64 draws of the components ``z [n]``."""
        shape, device = (len(z), self.dims), self.means.device
        noise = torch.randn(shape, generator=generator, device=device, dtype=torch.float64)
        if self.factors.ndim == 2:
            noise = noise / self.factors[z]
        else:
            for index, factor in enumerate(self._matrices(int(self.components))):
                rows = z == index
                noise[rows] = torch.linalg.solve_triangular(factor, noise[rows], upper=True, left=False)
        return self.decode(z) + noise.reshape(-1, *self.image_shape)
