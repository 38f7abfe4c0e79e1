"""Scores of copying: AuthPct and C_T. Both compare distances to the nearest training image.

Neither proves that a model copies, nor that it does not: `planted_copies` shows what each of them sees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dgmbench.evaluation.copies.neighbour_search import QUERIES, nearest, nearest_other
from dgmbench.evaluation.copies.ties import Neighbours

# A cell counts when more than so many generated images fall into it (Meehan et al.'s experiments: tau 20/m).
LEAST_GENERATED = 20
# Passes of k-means, and training images that it sees at most.
PASSES, MOST_CLUSTERED = 100, 100_000
RESAMPLES = 200


@dataclass(frozen=True)
class Score:
    """A score, its standard error (None where it has none), and the number of generated images behind it."""

    value: float
    std_error: float | None
    n: int


# AuthPct


def auth_pct(neighbours: Neighbours, train: Tensor) -> Score:
    """Percentage of authentic samples (Alaa et al. 2022, section 4.3), averaged over ties.

    neighbours: all nearest training images of each sample, as `all_nearest` finds them in ``train [m, ...]``.
    Sample g is authentic if its nearest training image t is nearer to another training image than to g. Of
    unseen real images about half are, hardly ever all, so that the score says nothing without theirs. The
    standard error is over the samples and takes the training set as fixed.
    """
    percents = 100.0 * authenticity(neighbours, train)
    error = float(percents.std(correction=0)) / math.sqrt(len(percents))
    return Score(float(percents.mean()), error, len(percents))


def authenticity(neighbours: Neighbours, train: Tensor) -> Tensor:
    """How authentic each sample is, float64 ``[n]`` from 0 to 1, arguments as in `auth_pct`.

    Discrete images have ties, which a rule for them must not decide: several training images may be nearest,
    and then the sample is judged by their mean; t may be as far from another training image as from g, which
    counts by half. An exact copy is never authentic.
    """
    found, place = neighbours.indices.unique(return_inverse=True)
    between = nearest_other(train, found)[place]
    own = neighbours.distances[neighbours.owners]
    return neighbours.mean((between < own).double() + 0.5 * ((between == own) & (own > 0)))


# C_T


@dataclass(frozen=True)
class Placed:
    """Images by cell: the cell of each (int64 ``[n]``) and the distance to its nearest training image there.

    The distance (float64) is infinite in a cell without training images.
    """

    cells: np.ndarray
    distances: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Placed:
        """Some of them."""
        return Placed(self.cells[rows], self.distances[rows])

    def __add__(self, other: Placed) -> Placed:
        """Both one after the other."""
        cells, distances = (self.cells, other.cells), (self.distances, other.distances)
        return Placed(np.concatenate(cells), np.concatenate(distances))


class Cells:
    """A partition of space by k-means on the training images ``[m, ...]`` (Lloyd from k-means++, float32).

    Beyond `MOST_CLUSTERED` training images evenly spaced ones stand for all. On one thread, since the order
    in which several add up their parts is not fixed, and the same seed must give the same bytes. Raises
    ValueError for more cells than training images.
    """

    def __init__(self, train: Tensor, count: int, seed: int) -> None:
        if not 1 <= count <= len(train):
            raise ValueError(f"{count} cells of {len(train)} training images; each needs one at least")
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits

        some = train[:: -(-len(train) // MOST_CLUSTERED)].flatten(1).float().cpu().numpy()
        model = KMeans(n_clusters=count, n_init=1, max_iter=PASSES, random_state=seed)
        with threadpool_limits(limits=1):
            self.centres = torch.from_numpy(model.fit(some).cluster_centers_).double()
        self.train, self.of_train = train, self.of(train)

    @classmethod
    def known(cls, train: Tensor, centres: Tensor, of_train: Tensor) -> Cells:
        """Cells found before: their centres (float64) and the cell of each training image (int64)."""
        cells = cls.__new__(cls)
        cells.train, cells.centres, cells.of_train = train, centres, of_train
        return cells

    def of(self, images: Tensor) -> Tensor:
        """The cell of each image: int64 ``[n]``."""
        # A part at a time: a million bytes-images would be large as floats.
        parts = images.flatten(1).split(QUERIES)
        return torch.cat([nearest(part.double(), self.centres)[1] for part in parts])

    def place(self, images: Tensor) -> Placed:
        """Their cells, and the distances to the training images of these."""
        cells = self.of(images)
        distances = torch.full((len(images),), torch.inf, dtype=torch.float64)
        for cell in cells.unique():
            there = self.of_train == cell
            if bool(there.any()):
                distances[cells == cell] = nearest(images[cells == cell], self.train[there])[0]
        return Placed(cells.numpy(), distances.numpy())


@dataclass(frozen=True)
class CopyTest:
    """C_T: `value` with its bootstrap `std_error`; `z` and `weights` of the cells that count."""

    value: float
    std_error: float | None
    z: np.ndarray
    weights: np.ndarray


def c_t(generated: Placed, heldout: Placed, rng: np.random.Generator | None = None) -> CopyTest:
    """The data-copying test C_T (Meehan, Chaudhuri & Dasgupta 2020, section 3.2).

    Within each cell, Z of the Mann-Whitney U of the distances to the nearest training image *of that cell*,
    generated against held-out; C_T is their mean, weighted by the cell's share of held-out images, over the
    cells with more than `LEAST_GENERATED` generated images. Far below 0, samples lie nearer to training
    images than unseen ones do (copying), far above 0 farther away. A cell without held-out or training
    images is left out; the authors' code stops there. Its continuity correction of 1/2 is not in the paper,
    nor here. Under the null hypothesis each Z has mean 0 and variance 1; otherwise it grows with the sizes
    of the sets, which must be reported with it. With `rng`, a bootstrap within cells gives a standard error
    for the training set, the cells and their sizes at hand. Raises ValueError if no cell counts.
    """
    pairs = []
    for cell in np.unique(heldout.cells):
        ours, theirs = (side.distances[side.cells == cell] for side in (generated, heldout))
        if len(ours) > LEAST_GENERATED and np.isfinite(ours[0]):
            pairs.append((ours, theirs))
    if not pairs:
        raise ValueError(
            f"no cell with held-out images has more than {LEAST_GENERATED} of the {len(generated.cells)} "
            "generated images; C_T needs fewer cells or more images"
        )
    z = np.array([mann_whitney_z(ours, theirs) for ours, theirs in pairs])
    weights = np.array([len(theirs) for _, theirs in pairs], dtype=np.float64)
    weights /= weights.sum()
    # Sorted, so that what is drawn does not depend on the order of images.
    ordered = [(np.sort(ours), np.sort(theirs)) for ours, theirs in pairs]
    std_error = None if rng is None else _std_error(ordered, weights, rng)
    return CopyTest(float(z @ weights), std_error, z, weights)


def mann_whitney_z(ours: np.ndarray, theirs: np.ndarray) -> float:
    """(U - nm/2) / sqrt(nm(n + m + 1)/12): U counts the pairs in which ours is the larger, ties by half.

    The variance is that without ties, as published; ties only bring Z nearer to 0.
    """
    ordered = np.sort(theirs)
    below = np.searchsorted(ordered, ours, "left").sum(dtype=np.float64)
    up_to = np.searchsorted(ordered, ours, "right").sum(dtype=np.float64)
    m, n = len(ours), len(theirs)
    return float(((below + up_to) / 2 - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12))


def _std_error(
    pairs: list[tuple[np.ndarray, np.ndarray]], weights: np.ndarray, rng: np.random.Generator
) -> float:
    """Standard deviation over resamples within the cells, whose sizes are kept.

    0 where no distances overlap: C_T then stands at its end.
    """
    drawn = [
        sum(
            weight * mann_whitney_z(rng.choice(g, len(g)), rng.choice(h, len(h)))
            for weight, (g, h) in zip(weights, pairs, strict=True)
        )
        for _ in range(RESAMPLES)
    ]
    return float(np.std(drawn, ddof=1))
