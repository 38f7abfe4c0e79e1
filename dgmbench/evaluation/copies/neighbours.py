"""Distance of samples to their nearest training images, against that of unseen real images.

A heuristic: it finds copies, but is blind to a copy shifted by one pixel (Theis et al. 2016, section 3.3).
Means are compared, not medians: distances of binary images are roots of whole numbers, whose median is one
such root whatever the sample, so that it jumps and seems certain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from dgmbench.evaluation.copies.neighbour_search import nearest


@dataclass(frozen=True)
class NeighbourReport:
    """How near samples are to the training set, in units of how near unseen real images are.

    ratio: mean generated distance / mean held-out distance; below 1, samples are closer to training images
        than unseen real images are. 0 for copies.
    std_error: over both sets of images; None where either has one image.
    distances: float64 [n] and [n'], L2 in pixel units; indices: int64, nearest training image of each.
    """

    ratio: float
    std_error: float | None
    generated_distances: Tensor
    heldout_distances: Tensor
    generated_indices: Tensor
    heldout_indices: Tensor


def nn_distance_ratio(
    generated: Tensor, heldout: Tensor, train: Tensor, unit: float = 1.0
) -> NeighbourReport:
    """Mean distance to training of generated images over that of held-out images.

    All [n, ...] in one scale, of one view; `unit` is what a distance of 1 between them is reported as. The
    standard error treats the training set as fixed. Raises ValueError if all held-out images are in the
    training set, since the ratio then divides by zero.
    """
    return compared(nearest(generated, train), nearest(heldout, train), unit)


def compared(
    ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor], unit: float = 1.0
) -> NeighbourReport:
    """The same from distances and indices ``[n]`` that `nearest` gave of either set."""
    ratio, std_error = mean_ratio(ours[0], theirs[0])
    return NeighbourReport(ratio, std_error, unit * ours[0], unit * theirs[0], ours[1], theirs[1])


def mean_ratio(ours: Tensor, theirs: Tensor) -> tuple[float, float | None]:
    """Mean of our distances [n] over that of theirs [n'], and its standard error by the delta method.

    Of two independent samples: var(r) = (var(ours)/n + r^2 var(theirs)/n') / mean(theirs)^2. None where a
    set has one distance. Raises ValueError if all of theirs are 0.
    """
    scale = float(theirs.mean())
    if scale == 0.0:
        raise ValueError("all held-out images are in the training set; the distance ratio has no scale")
    ratio = float(ours.mean()) / scale
    if len(ours) < 2 or len(theirs) < 2:
        return ratio, None
    variance = float(ours.var()) / len(ours) + ratio**2 * float(theirs.var()) / len(theirs)
    return ratio, math.sqrt(variance) / scale
