"""Fréchet distance between two sets of features, each taken as a Gaussian (Heusel et al. 2017, eq. 6)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def gaussian_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [f] and unbiased covariance [f, f] of features [n, f], in float64 on the CPU.

    Warns if n <= f: the covariance then has no full rank, and the distance a large bias.
    Raises ValueError for fewer than two rows, or values that are not finite.
    """
    features = _checked(features)
    _warn_if_few(*features.shape)
    return _weighted_statistics(features, torch.ones(len(features), dtype=torch.float64))


def _warn_if_few(n: int, width: int) -> None:
    if n <= width:
        warnings.warn(
            f"{n} samples for {width} features: the covariance is rank-deficient and the Fréchet distance "
            f"biased upwards; use more than {width} samples, better ten times as many",
            stacklevel=3,
        )


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the squared distance of Heusel et al. 2017, eq. (6).

    The last trace is that of (S1 C2 S1)^(1/2) with S = C^(1/2) symmetric, which is the sum of the singular
    values of S1 S2. Unlike a general matrix square root it stays real, and it takes singular covariances
    without an offset on the diagonal. Raises ValueError if the shapes do not fit.
    """
    mean1, cov1, mean2, cov2 = (part.detach().cpu().to(torch.float64) for part in (mean1, cov1, mean2, cov2))
    width = mean1.shape[0]
    if mean2.shape != (width,) or cov1.shape != (width, width) or cov2.shape != (width, width):
        raise ValueError("the two Gaussians are not of one dimension")
    cross = torch.linalg.svdvals(_square_root(cov1) @ _square_root(cov2)).sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * cross
    return max(float(distance), 0.0)


def fid(features_a: Tensor, features_b: Tensor) -> float:
    """Fréchet distance between features [n, f] and [m, f]; symmetric, 0 for equal sets, no unit.

    Warns and raises as `gaussian_statistics`.
    """
    sets = [_checked(features_a), _checked(features_b)]
    for features in sets:
        _warn_if_few(*features.shape)
    return _weighted_fid(sets, [torch.ones(len(features), dtype=torch.float64) for features in sets])


def fid_std_error(
    features_gen: Tensor, features_real: Tensor, n_resamples: int, rng: np.random.Generator
) -> float:
    """Bootstrap standard error of `fid`: both sets are resampled with replacement, `n_resamples` times.

    A resample is a reweighting, so it costs one product [f, n] x [n, f] and no copy of rows. Resampling
    also raises the distance itself (repeated rows lower the rank), so only the spread is used.
    Raises ValueError for fewer than two resamples.
    """
    if n_resamples < 2:
        raise ValueError(f"a standard error needs at least 2 resamples, not {n_resamples}")
    sets = [_checked(features_gen), _checked(features_real)]
    values = []
    for _ in range(n_resamples):
        values.append(_weighted_fid(sets, [_bootstrap_weights(len(features), rng) for features in sets]))
    return float(np.std(values, ddof=1))


def _bootstrap_weights(n: int, rng: np.random.Generator) -> Tensor:
    """How often each of n rows is drawn in n draws with replacement, float64 [n]."""
    return torch.from_numpy(np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64))


def _weighted_statistics(features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased covariance where row i counts `weights[i]` times; the weights sum to n."""
    mean = weights @ features / weights.sum()
    centered = features - mean
    return mean, (centered * weights[:, None]).T @ centered / (weights.sum() - 1)


def _weighted_fid(sets: Sequence[Tensor], weights: Sequence[Tensor]) -> float:
    """`fid` where row i of a set counts `weights[i]` times.

    With C = A^T A and A the centred rows over sqrt(n - 1), the trace of (C1 C2)^(1/2) is the sum of the
    singular values of A1 A2^T, [n, m]: with fewer rows than features that is the smaller problem.
    """
    width = sets[0].shape[1]
    if sets[1].shape[1] != width:
        raise ValueError("the two Gaussians are not of one dimension")
    if max(len(features) for features in sets) > width:
        gaussians = [_weighted_statistics(*pair) for pair in zip(sets, weights, strict=True)]
        return frechet_distance(*gaussians[0], *gaussians[1])
    means = [counts @ features / counts.sum() for features, counts in zip(sets, weights, strict=True)]
    rows = [
        (features - mean) * (counts / (counts.sum() - 1)).sqrt()[:, None]
        for features, mean, counts in zip(sets, means, weights, strict=True)
    ]
    cross = torch.linalg.svdvals(rows[0] @ rows[1].T).sum()
    traces = rows[0].square().sum() + rows[1].square().sum()
    return max(float((means[0] - means[1]).square().sum() + traces - 2 * cross), 0.0)


def _square_root(covariance: Tensor) -> Tensor:
    """Symmetric square root of a positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
    # Rounding leaves a null direction with a value of either sign at this level; its root would not be small.
    floor = values.abs().max() * len(values) * torch.finfo(torch.float64).eps
    root: Tensor = (vectors * values.where(values > floor, 0.0).sqrt()) @ vectors.T
    return root


def _checked(features: Tensor) -> Tensor:
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features are [n, f] with n >= 2, not {tuple(features.shape)}")
    features = features.detach().cpu().to(torch.float64)
    if not bool(torch.isfinite(features).all()):
        raise ValueError("features hold NaN or infinite values")
    return features
