"""Fréchet distance between two sets of features, each taken as a Gaussian (Heusel et al. 2017, eq. 6)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Rows weigh 1 + STEP or 1 - STEP where the curvature of the distance is measured.
STEP = 0.5


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


@dataclass(frozen=True)
class FidErrors:
    """How far a Fréchet distance may be off, from which images there are.

    std_error: over both sets. by_image: float64 [m], by real image with the generated ones given: values
    around the distance whose mean has the standard error `over_real`.
    """

    std_error: float
    by_image: np.ndarray

    @property
    def over_real(self) -> float:
        """Standard error over the real images alone."""
        return float(self.by_image.std(ddof=1)) / math.sqrt(len(self.by_image))


def fid_errors(generated: Tensor, real: Tensor, draws: int, rng: np.random.Generator) -> FidErrors:
    """Errors of `fid` by its influence function, corrected for curvature.

    The infinitesimal jackknife (Jaeckel 1972) estimates L + 2 Q, where L is the variance of the part of the
    distance that is linear in the images and Q that of the quadratic part (Efron & Stein 1981); the
    bootstrap estimates L + 3 Q. Near a distance of 0 the linear part vanishes, and the bootstrap's standard
    error is 1.7 times too large. Q is measured: all rows are weighted by 1 + s/2 with random signs s,
    `draws` times; Q is the variance, over (1/2)^4, of what the influence function does not predict. It is at
    most half of L + 2 Q. Raises ValueError for fewer than two draws.
    """
    if draws < 2:
        raise ValueError(f"the curvature takes at least 2 draws, not {draws}")
    sets = [_checked(generated), _checked(real)]
    ones = [torch.ones(len(features), dtype=torch.float64) for features in sets]
    value, slopes = _weighted_fid(sets, ones), _influences(sets)
    left: list[list[float]] = []
    for _ in range(draws):
        signs = [_signs(len(features), rng) for features in sets]
        moved = [one + STEP * sign for one, sign in zip(ones, signs, strict=True)]
        linear = [STEP * float(s @ slope) / len(s) for s, slope in zip(signs, slopes, strict=True)]
        left.append(
            [
                _weighted_fid(sets, moved) - value - sum(linear),
                _weighted_fid(sets, [ones[0], moved[1]]) - value - linear[1],
            ]
        )
    curved = np.var(left, axis=0, ddof=1) / STEP**4
    jackknife = [float(slope.var()) / len(slope) for slope in slopes]
    both = _corrected(sum(jackknife), float(curved[0]))
    shrunk = math.sqrt(_corrected(jackknife[1], float(curved[1])) / jackknife[1]) if jackknife[1] > 0 else 0.0
    return FidErrors(math.sqrt(both), (value + shrunk * slopes[1]).numpy())


def _corrected(jackknife: float, curved: float) -> float:
    """L + Q from L + 2 Q and Q."""
    return max(jackknife - curved, jackknife / 2)


def _signs(n: int, rng: np.random.Generator) -> Tensor:
    """Random signs of n rows, centred, so that weights keep their sum."""
    signs = torch.from_numpy(rng.choice([-1.0, 1.0], n))
    return signs - signs.mean()


def _influences(sets: Sequence[Tensor]) -> list[Tensor]:
    """The derivative of `fid` by the weight of each row over n, centred, [n] for either set.

    That of tr C is |a - m|^2. That of tr (C1 C2)^(1/2) is half the quadratic form of the map A that turns the
    one Gaussian into the other, (a - m)^T A (a - m) / 2; with fewer rows than features it comes from the
    singular vectors of A1 A2^T, see `_weighted_fid`.
    """
    means = [features.mean(0) for features in sets]
    centered = [features - mean for features, mean in zip(sets, means, strict=True)]
    if max(len(features) for features in sets) > sets[0].shape[1]:
        roots = [_square_root(rows.T @ rows / (len(rows) - 1)) for rows in centered]
        forms = [_form(rows, roots[1 - k], roots[k]) for k, rows in enumerate(centered)]
    else:
        scaled = [rows / math.sqrt(len(rows) - 1) for rows in centered]
        left, values, right = torch.linalg.svd(scaled[0] @ scaled[1].T, full_matrices=False)
        pairs = zip(centered, (left, right.T), strict=True)
        forms = [(vectors.square() @ values) * (len(rows) - 1) for rows, vectors in pairs]
    apart = means[0] - means[1]
    found = []
    for rows, form, sign in zip(centered, forms, (2.0, -2.0), strict=True):
        quadratic = (rows.square().sum(1) - form) * len(rows) / (len(rows) - 1)
        slope = quadratic + sign * (rows @ apart)
        found.append(slope - slope.mean())
    return found


def _form(rows: Tensor, root: Tensor, own: Tensor) -> Tensor:
    """a^T A a of rows [n, f] with A = S (S C S)^(-1/2) S, S the other set's root and C = own own."""
    values, vectors = torch.linalg.eigh(root @ own @ own @ root)
    floor = values.abs().max() * len(values) * torch.finfo(torch.float64).eps
    inverse = torch.where(values > floor, values, torch.inf).rsqrt()
    return ((rows @ root @ vectors).square() * inverse).sum(1)


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
