"""Nearest-neighbour probe: whether images of a class lie together in a model's features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.spaces.probe_sets import (
    PROBE_SETTINGS,
    Array,
    Predictor,
    Probed,
    ProbeSet,
    chosen,
    probe_errors,
)
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import CanEncode, CanPredict
from dgmbench.models.parts.votes import votes
from dgmbench.results import Record

# Numbers of neighbours that vote; those above the number of labels are not tried.
NEIGHBOURS = (1, 3, 5, 7, 9)


@measure(needs=(CanEncode,), lacks=(CanPredict,), labels=True, reads=PROBE_SETTINGS)
def knn_probes(subject: Subject, folder: Path) -> Iterator[Record]:
    """`knn_error_<labels>`: test error of the k nearest labelled images in the model's features."""
    yield from probe_errors(subject, "knn", knn_probe)


def knn_probe(sets: ProbeSet, grid: Sequence[int] = NEIGHBOURS) -> Probed:
    """The majority of the k nearest in Euclidean distance, k chosen on the validation images.

    The nearest neighbour decides between classes with equally many votes.
    """
    known, labels = (torch.from_numpy(part) for part in sets.train)
    classes = int(labels.max()) + 1

    # Distances to the same images serve every k.
    stored: list[tuple[Array, torch.Tensor]] = []

    def nearest(features: Array) -> torch.Tensor:
        for seen, near in stored:
            if seen is features:
                return near
        distances = torch.cdist(torch.from_numpy(features), known)
        stored.append((features, labels[distances.argsort(dim=1, stable=True)[:, : max(grid)]]))
        return stored[-1][1]

    def fit(k: float) -> Predictor:
        return lambda features: votes(nearest(features)[:, : int(k)], classes).argmax(1).numpy()

    return chosen([k for k in grid if k <= len(known)] or [len(known)], fit, sets)
