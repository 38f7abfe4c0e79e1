"""The protocol by which Radford et al. 2015 judge a discriminator's features (sections 5.1 and 5.2).

Features of all convolutional layers, each max-pooled to a 4x4 grid and all joined to one vector, which is
what `encode` of an adversarial model gives; on top a linear L2-SVM (squared hinge loss, one against the
rest), its regularisation chosen on as many validation images as there are labels. Unlike the linear probe,
features are not standardised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor, nn

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.spaces.probe import balanced_subset, validation_subset
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import CanEncode
from dgmbench.results import Record
from dgmbench.statistics import binomial_std_error
from dgmbench.training.seeding import derive_seed

if TYPE_CHECKING:
    from sklearn.svm import LinearSVC

# Settings that all probes read.
PROBE_SETTINGS = ("probe_pool", "probe_labels", "probe_draws", "parzen")
C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
Array = np.ndarray[Any, Any]


@runtime_checkable
class HasDiscriminator(CanEncode, Protocol):
    """Separates images of data from others, by a network whose features `encode` gives."""

    discriminator: nn.Module

    def discriminate(self, x: Tensor) -> Tensor:
        """``[n]``, higher for data."""
        ...


@dataclass(frozen=True)
class SVMResult:
    """Test accuracy in percent, and the C that validation images chose."""

    accuracy: float
    C: float
    n: int


def l2_svm(
    train: tuple[Array, Array],
    valid: tuple[Array, Array],
    test: tuple[Array, Array],
    seed: int,
    grid: Sequence[float] = C_GRID,
) -> SVMResult:
    """A linear L2-SVM of features [n, f] and labels [n]; the smallest C that is best on `valid` is kept.

    Features are divided by their largest absolute value in `train`, one number for all of them, so that the
    grid of C fits any network.
    """
    from sklearn.svm import LinearSVC

    scale = max(float(np.abs(train[0]).max()), 1e-12)
    best: tuple[float, float, LinearSVC] | None = None
    for strength in sorted(grid):
        model = LinearSVC(C=strength, loss="squared_hinge", dual="auto", random_state=seed, max_iter=5000)
        model.fit(train[0] / scale, train[1])
        score = float(np.mean(model.predict(valid[0] / scale) == valid[1]))
        if best is None or score > best[0]:
            best = (score, strength, model)
    assert best is not None
    accuracy = 100.0 * float(np.mean(best[2].predict(test[0] / scale) == test[1]))
    return SVMResult(accuracy, best[1], len(test[1]))


@measure(needs=(HasDiscriminator,), labels=True, reads=PROBE_SETTINGS)
def svm_probes(subject: Subject, folder: Path) -> Iterator[Record]:
    """`svm_accuracy_<labels>` of models that have a discriminator, averaged over subsets of labels."""
    labels = {split: subject.data.labels(split) for split in ("train", "valid", "test")}
    settings = subject.settings
    limits = {"train": settings.probe_pool, "valid": settings.parzen.valid_points, "test": None}
    sets = {
        split: (subject.features(split, limit), np.asarray(labels[split])[:limit])
        for split, limit in limits.items()
    }
    for count in settings.probe_labels:
        results = []
        for draw in range(settings.probe_draws):
            seed = derive_seed("svm", subject.data_seed, draw) % 2**32
            rows = balanced_subset(sets["train"][1], count, seed)
            judging = validation_subset(sets["valid"][1], count, seed)
            train, valid = (
                tuple(part[chosen] for part in sets[split])
                for split, chosen in (("train", rows), ("valid", judging))
            )
            results.append(l2_svm(train, valid, sets["test"], seed))
        yield _record(subject, count, results)


def _record(subject: Subject, count: int, results: Sequence[SVMResult]) -> Record:
    accuracies, n = np.array([result.accuracy for result in results]), results[0].n
    spread = accuracies.var(ddof=1) / len(accuracies) if len(accuracies) > 1 else 0.0
    mean = float(accuracies.mean())
    # Two independent sources: which images were labelled, and which images are in the test set.
    error = float(np.sqrt(spread + binomial_std_error(mean, n) ** 2))
    return subject.record(
        f"svm_accuracy_{count}", mean, error, n=n, unit="percent", kind="exact", seconds=subject.lap()
    )
