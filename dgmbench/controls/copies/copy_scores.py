"""What the control of planted copies looks at: images with all that the scores need of them, found once.

Samples are then put together from parts, and scored, many times at the price of a few means and products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dgmbench.controls.control import Context
from dgmbench.data.pixels import intensity
from dgmbench.evaluation.copies.copying import Cells, Placed, authenticity, c_t
from dgmbench.evaluation.copies.neighbour_search import nearest_under_shifts
from dgmbench.evaluation.copies.neighbours import mean_ratio
from dgmbench.evaluation.copies.ties import all_nearest
from dgmbench.evaluation.quality.class_shares import histogram_distance
from dgmbench.evaluation.quality.frechet import fid
from dgmbench.evaluation.quality.kernel_distance import kernel_distance
from dgmbench.evaluation.quality.prdc import fidelity

FID, KID, HISTOGRAM = "fid_domain", "kid_domain", "class_histogram_distance"
UNDER_SHIFTS = "nn_distance_ratio_shifts"
# Scores of quality, by the end that is bad: the others are scores of copying, and bad when low.
BAD_HIGH = (FID, KID, HISTOGRAM)
BAD_LOW = ("precision", "recall", "density", "coverage")
QUALITY = (*BAD_HIGH, *BAD_LOW)
# Which ball is taken for precision and its companions, as in the evaluation.
NEIGHBOURS = 5
# Suffixes of what is measured in pixels, and in the classifier's features.
SPACES = ("", "_domain")
NAMES = {
    "nn_distance_ratio": "distance ratio",
    UNDER_SHIFTS: "distance ratio under shifts",
    "auth_pct": "AuthPct",
    "c_t": "C_T",
    "nn_distance_ratio_domain": "distance ratio in features",
    "auth_pct_domain": "AuthPct in features",
    "c_t_domain": "C_T in features",
    FID: "domain FID",
    KID: "domain KID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    HISTOGRAM: "class histogram",
}


@dataclass(frozen=True)
class _Seen:
    """What one space's scores need to know of images, found once: see `copying` and `neighbours`."""

    distances: np.ndarray
    authentic: np.ndarray
    placed: Placed

    def __getitem__(self, rows: np.ndarray) -> _Seen:
        return _Seen(self.distances[rows], self.authentic[rows], self.placed[rows])

    def __add__(self, other: _Seen) -> _Seen:
        distances = np.concatenate([self.distances, other.distances])
        authentic = np.concatenate([self.authentic, other.authentic])
        return _Seen(distances, authentic, self.placed + other.placed)


class Space:
    """Training images of one space, which others are held against."""

    def __init__(self, train: Tensor, cells: Cells) -> None:
        self.train, self.cells = train, cells

    def look(self, images: Tensor) -> _Seen:
        """All distances of some images."""
        neighbours = all_nearest(images, self.train)
        authentic = authenticity(neighbours, self.train)
        return _Seen(neighbours.distances.numpy(), authentic.numpy(), self.cells.place(images))


@dataclass(frozen=True)
class Source:
    """Images of one kind: raw, and as each space, the shift-tolerant search and the classifier see them.

    classes: those that the classifier takes the images for, int64 ``[n]``.
    """

    images: Tensor
    spaces: Sequence[_Seen]
    moved: np.ndarray
    features: Tensor | None
    classes: np.ndarray | None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray) -> Source:
        features = None if self.features is None else self.features[torch.from_numpy(rows)]
        classes = None if self.classes is None else self.classes[rows]
        images = self.images[torch.from_numpy(rows)]
        return Source(images, [seen[rows] for seen in self.spaces], self.moved[rows], features, classes)

    def __add__(self, other: Source) -> Source:
        spaces = [a + b for a, b in zip(self.spaces, other.spaces, strict=True)]
        moved = np.concatenate([self.moved, other.moved])
        features = classes = None
        if self.features is not None and other.features is not None:
            features = torch.cat([self.features, other.features])
        if self.classes is not None and other.classes is not None:
            classes = np.concatenate([self.classes, other.classes])
        return Source(torch.cat([self.images, other.images]), spaces, moved, features, classes)


def look(context: Context, images: Tensor, spaces: Sequence[Space], train: Tensor) -> Source:
    """All that the scores need of some images, uint8 ``[n, C, H, W]``."""
    features = classes = None
    if context.classifier is not None:
        features = context.classifier.features(intensity(images, context.data.levels))
        classes = context.classifier.classes_of(features).numpy()
    forms = [images, features]
    seen = [space.look(form) for space, form in zip(spaces, forms, strict=False) if form is not None]
    moved = nearest_under_shifts(images, train)[0].numpy()
    return Source(images, seen, moved, features, classes)


def scores(samples: Source, reference: Source) -> dict[str, float]:
    """Every score of samples against held-out images."""
    found: dict[str, float] = {}
    for suffix, ours, theirs in zip(SPACES, samples.spaces, reference.spaces, strict=False):
        found[f"nn_distance_ratio{suffix}"] = _ratio(ours.distances, theirs.distances)
        found[f"auth_pct{suffix}"] = 100.0 * float(ours.authentic.mean())
        found[f"c_t{suffix}"] = c_t(ours.placed, theirs.placed).value
    found[UNDER_SHIFTS] = _ratio(samples.moved, reference.moved)
    return found | _quality(samples, reference)


def _ratio(ours: np.ndarray, theirs: np.ndarray) -> float:
    return mean_ratio(torch.from_numpy(ours), torch.from_numpy(theirs))[0]


def _quality(samples: Source, reference: Source) -> dict[str, float]:
    """The scores of quality, for which the classifier's features are needed."""
    ours, theirs = samples.features, reference.features
    if ours is None or theirs is None or samples.classes is None or reference.classes is None:
        return {}
    n = min(len(ours), len(theirs))
    parts = fidelity(ours[:n], theirs[:n], NEIGHBOURS)
    count = 1 + max(int(part.classes.max()) for part in (samples, reference) if part.classes is not None)
    histograms = [np.bincount(part, minlength=count) for part in (samples.classes, reference.classes)]
    return {
        FID: fid(ours, theirs),
        KID: kernel_distance(ours, theirs).value,
        **{name: getattr(parts, name) for name in BAD_LOW},
        HISTOGRAM: histogram_distance(*histograms),
    }
