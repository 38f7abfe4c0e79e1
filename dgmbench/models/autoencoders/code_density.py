"""Densities fitted to the codes of a trained auto-encoder, which give it the prior that it lacks.

An auto-encoder's objective does not say where codes lie, so its decoder alone is no generator. Ghosh
et al. 2020 (section 4) estimate a density of the training codes afterwards ("ex-post") and decode its draws:
a Gaussian with full covariance, or a mixture of them fitted by EM. Everything is in float64, in nats, and in
buffers whose shapes follow from the settings alone, so that it is part of a model's state.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

# Added to the variances of standardised codes: no component is taken to be narrower than 1 % of all codes.
RIDGE = 1e-4
# EM ends at a smaller gain than this (nats per code), or after so many iterations.
TOLERANCE, MAX_ITERATIONS = 1e-3, 100


class CodeDensity(nn.Module):
    """sum_k w_k N(mean_k, (P_k P_k')^-1) over codes, P_k upper triangular; `fit` comes with the subclasses.

    Args:
        dim: length of a code.
        largest: room for so many components; those beyond `components` are not used.
    """

    log_weights: Tensor
    means: Tensor
    factors: Tensor
    components: Tensor

    def __init__(self, dim: int, largest: int) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("log_weights", torch.full((largest,), -math.inf, dtype=torch.float64))
        self.register_buffer("means", torch.zeros(largest, dim, dtype=torch.float64))
        self.register_buffer("factors", torch.zeros(largest, dim, dim, dtype=torch.float64))
        self.register_buffer("components", torch.zeros((), dtype=torch.int64))

    def parameter_count(self) -> int:
        """Weights, means and the distinct entries of the covariances."""
        k = int(self.components)
        return max(k - 1, 0) + k * self.dim + k * self.dim * (self.dim + 1) // 2

    def log_prob(self, codes: Tensor) -> Tensor:
        """Density in nats of ``codes [..., dim]``: float64 ``[...]``, differentiable.

        Raises:
            ValueError: before `fit`.
        """
        k = self.require_fitted()
        factors = self.factors[:k]
        shifts = torch.einsum("kd,kde->ke", self.means[:k], factors)
        scores = torch.einsum("...d,kde->...ke", codes.double(), factors) - shifts
        log_determinants = factors.diagonal(dim1=1, dim2=2).log().sum(1)
        constants = self.log_weights[:k] + log_determinants - 0.5 * self.dim * math.log(2 * math.pi)
        return torch.logsumexp(constants - 0.5 * scores.square().sum(-1), -1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, dim]`` float64 draws.

        Raises:
            ValueError: before `fit`.
        """
        k, device = self.require_fitted(), self.means.device
        weights = self.log_weights[:k].exp()
        chosen = torch.multinomial(weights, n, replacement=True, generator=generator)
        draws = torch.randn((n, self.dim), generator=generator, device=device, dtype=torch.float64)
        for index in range(k):
            rows = chosen == index
            # eps P^-1 has covariance (P P')^-1.
            draws[rows] = torch.linalg.solve_triangular(
                self.factors[index], draws[rows], upper=True, left=False
            )
        return self.means[chosen] + draws

    def require_fitted(self) -> int:
        """The number of components in use.

        Raises:
            ValueError: before `fit`.
        """
        if int(self.components) == 0:
            raise ValueError("a code density needs codes: fit it, or load its state, first")
        return int(self.components)

    def _keep(self, weights: Tensor, means: Tensor, factors: Tensor) -> None:
        k = len(weights)
        self.log_weights.fill_(-math.inf)
        self.log_weights[:k] = weights.log()
        self.means[:k], self.factors[:k] = means, factors
        self.components.fill_(k)


class GaussianCodes(CodeDensity):
    """One Gaussian with full covariance, by maximum likelihood."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, 1)

    def fit(self, codes: Tensor) -> None:
        """Fit to ``codes [n, dim]``."""
        centre, spread = _location_and_scale(codes)
        standard = (codes.double() - centre) / spread
        covariance = standard.T @ standard / len(codes) + RIDGE * torch.eye(self.dim, device=codes.device)
        lower = torch.linalg.cholesky(covariance)
        identity = torch.eye(self.dim, dtype=torch.float64, device=codes.device)
        factor = torch.linalg.solve_triangular(lower, identity, upper=False).T / spread[:, None]
        self._keep(torch.ones(1, dtype=torch.float64), centre[None], factor[None])


class MixtureCodes(CodeDensity):
    """A mixture of Gaussians with full covariances, fitted by scikit-learn's EM.

    Args:
        dim: length of a code.
        candidates: numbers of components among which validation codes choose.
        seen: training codes that EM sees; a random part if there are more.
    """

    def __init__(self, dim: int, candidates: Sequence[int], seen: int = 10_000) -> None:
        super().__init__(dim, max(candidates))
        self.candidates, self.seen = sorted(set(candidates)), seen

    def fit(self, codes: Tensor, valid: Tensor, generator: torch.Generator) -> dict[int, float]:
        """Fit every candidate to ``codes [n, dim]`` and keep the likeliest of ``valid [m, dim]``.

        Returns the negative log-likelihood of `valid` by number of components, nats per code. A candidate
        of more components than codes, or whose covariances degenerate, is out of the running.

        Raises:
            ValueError: if no candidate is left.
        """
        order = torch.randperm(len(codes), generator=generator, device=generator.device)[: self.seen]
        seed = int(torch.randint(2**31 - 1, (), generator=generator, device=generator.device))
        codes = codes[order.to(codes.device)]
        scores: dict[int, float] = {}
        best: tuple[Tensor, Tensor, Tensor] | None = None
        for components in self.candidates:
            fitted = _expectation_maximisation(codes, components, seed)
            if fitted is None:
                continue
            self._keep(*fitted)
            scores[components] = -float(self.log_prob(valid).mean())
            if scores[components] == min(scores.values()):
                best = fitted
        if best is None:
            tried = ", ".join(map(str, self.candidates))
            raise ValueError(f"no mixture of {tried} components can be fitted to {len(codes)} codes")
        self._keep(*best)
        return scores


def _expectation_maximisation(
    codes: Tensor, components: int, seed: int
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Weights ``[k]``, means ``[k, dim]`` and factors ``[k, dim, dim]``; None if it degenerates."""
    # Its import takes seconds, and the check of settings imports every family.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    if components > len(codes):
        return None
    centre, spread = _location_and_scale(codes)
    mixture = GaussianMixture(
        components, reg_covar=RIDGE, tol=TOLERANCE, max_iter=MAX_ITERATIONS, random_state=seed
    )
    # k-means adds up its threads' sums in the order in which they finish: one thread repeats exactly. And
    # matrices as small as these only make BLAS threads wait for each other.
    with warnings.catch_warnings(), threadpool_limits(1):
        # Validation judges the fit, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            mixture.fit(((codes.double() - centre) / spread).cpu().numpy())
        except ValueError:
            return None
    weights, means, factors = (
        torch.from_numpy(array).to(codes.device)
        for array in (mixture.weights_, mixture.means_, mixture.precisions_cholesky_)
    )
    # Codes have no scale of their own, so EM and its ridge see standardised ones.
    return weights, centre + spread * means, factors / spread[:, None]


def _location_and_scale(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each entry, ``[dim]`` float64; dead entries have a small one."""
    codes = codes.double()
    deviation = codes.std(0, correction=0)
    floor = 1e-3 * deviation.square().mean().sqrt()
    return codes.mean(0), deviation.clamp_min(float(floor)).clamp_min(1e-12)
