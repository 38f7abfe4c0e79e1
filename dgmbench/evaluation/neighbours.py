"""Distance of samples to their nearest training images, against that of unseen real images.

A heuristic: it finds copies, but is blind to a copy shifted by one pixel (Theis et al. 2016, section 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dgmbench.evaluation.neighbour_search import nearest


@dataclass(frozen=True)
class NeighbourReport:
    """How near samples are to the training set, in units of how near unseen real images are.

    ratio: median generated distance / median held-out distance; below 1, samples are closer to training
        images than unseen real images are. 0 for copies.
    std_error: bootstrap over both sets of distances; None where a resample has no defined ratio.
    distances: float64 [n] and [n'], L2 in pixel units; indices: int64, nearest training image of each.
    """

    ratio: float
    std_error: float | None
    generated_distances: Tensor
    heldout_distances: Tensor
    generated_indices: Tensor
    heldout_indices: Tensor


def nn_distance_ratio(
    generated: Tensor,
    heldout: Tensor,
    train: Tensor,
    rng: np.random.Generator,
    n_resamples: int = 200,
    unit: float = 1.0,
) -> NeighbourReport:
    """Median distance to training of generated images over that of held-out images.

    All [n, ...] in one scale, of one view; `unit` is what a distance of 1 between them is reported as. The
    standard error is a bootstrap from `rng`; it treats the training set as fixed. Raises ValueError if at
    least half of the held-out images are in the training set, since the ratio then divides by zero.
    """
    return compared(nearest(generated, train), nearest(heldout, train), rng, n_resamples, unit)


def compared(
    ours: tuple[Tensor, Tensor],
    theirs: tuple[Tensor, Tensor],
    rng: np.random.Generator,
    n_resamples: int = 200,
    unit: float = 1.0,
) -> NeighbourReport:
    """The same from distances and indices ``[n]`` that `nearest` gave of either set."""
    ratio, std_error = median_ratio(ours[0], theirs[0], rng, n_resamples)
    return NeighbourReport(ratio, std_error, unit * ours[0], unit * theirs[0], ours[1], theirs[1])


def median_ratio(
    ours: Tensor, theirs: Tensor, rng: np.random.Generator, n_resamples: int = 200
) -> tuple[float, float | None]:
    """Median of our distances [n] over that of theirs [n'], and its bootstrap error as above."""
    scale = float(np.median(theirs.numpy()))
    if scale == 0.0:
        raise ValueError(
            "half of the held-out images are in the training set; the distance ratio has no scale"
        )
    ratio = float(np.median(ours.numpy())) / scale
    # Sorted, so that what is drawn does not depend on the order of images.
    return ratio, _ratio_std_error(np.sort(ours.numpy()), np.sort(theirs.numpy()), rng, n_resamples)


def _ratio_std_error(
    ours: np.ndarray, theirs: np.ndarray, rng: np.random.Generator, n_resamples: int
) -> float | None:
    if n_resamples < 2 or len(ours) < 2 or len(theirs) < 2:
        return None
    ratios = []
    for _ in range(n_resamples):
        scale = np.median(rng.choice(theirs, len(theirs)))
        if scale == 0.0:
            return None
        ratios.append(np.median(rng.choice(ours, len(ours))) / scale)
    return float(np.std(ratios, ddof=1))
