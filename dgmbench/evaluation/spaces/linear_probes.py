"""The linear probe of a run's features."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.spaces.probe import linear_probe
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import CanEncode, CanPredict
from dgmbench.results import Record
from dgmbench.training.seeding import derive_seed


@measure(
    needs=(CanEncode,),
    lacks=(CanPredict,),
    labels=True,
    reads=("probe_pool", "probe_labels", "probe_draws", "parzen"),
)
def probes(subject: Subject, folder: Path) -> Iterator[Record]:
    """Test accuracy of a linear classifier on the model's features, trained with few labels.

    Of models that saw no label: the features of a classifier were made with labels.

    Which training and validation images are labelled is drawn by the data seed.
    """
    labels = {split: subject.data.labels(split) for split in ("train", "valid", "test")}
    pool = subject.settings.probe_pool
    limits = {"train": pool, "valid": subject.settings.parzen.valid_points, "test": None}
    features = {split: subject.features(split, limit) for split, limit in limits.items()}
    for count in subject.settings.probe_labels:
        yield _probe(subject, features, {k: np.asarray(v)[: limits[k]] for k, v in labels.items()}, count)


def _probe(
    subject: Subject,
    features: dict[str, np.ndarray[Any, Any]],
    labels: dict[str, np.ndarray[Any, Any]],
    count: int,
) -> Record:
    arrays = [array[split] for split in ("train", "valid", "test") for array in (features, labels)]
    draws = range(subject.settings.probe_draws)
    results = [
        linear_probe(*arrays, n_labels=count, seed=derive_seed("probe", subject.data_seed, draw) % 2**32)
        for draw in draws
    ]
    accuracies = np.array([result.accuracy for result in results])
    spread = accuracies.var(ddof=1) / len(accuracies) if len(accuracies) > 1 else 0.0
    # Two independent sources: which images were labelled, and which images are in the test set.
    error = float(np.sqrt(spread + results[0].std_error ** 2))
    return subject.record(
        f"probe_accuracy_{count}",
        float(accuracies.mean()),
        error,
        n=results[0].n,
        unit="percent",
        kind="exact",
        seconds=subject.lap(),
    )
