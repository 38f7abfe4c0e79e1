"""How samples are spread over the classes of their data set, as the domain classifier sees them.

The classifier's mistakes are in both histograms, that of samples and that of test images: test images are
classified too, and their labels left aside.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.evaluation.judged import Judged
from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.quality.in_features import recorded
from dgmbench.evaluation.quality.scores import Score
from dgmbench.evaluation.subsets import training_rows
from dgmbench.results import Record
from dgmbench.training.seeding import derive_seed

RESAMPLES = 200


def histogram_distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Total variation of two histograms of counts ``[c]``: half the sum of the differences of shares.

    The share of samples that would have to be of other classes; 0 for equal shares, 1 without a common
    class. Finite samples of one distribution are a little apart. Raises ValueError for empty histograms.
    """
    if ours.shape != theirs.shape or min(ours.sum(), theirs.sum()) == 0:
        raise ValueError(
            f"histograms of {ours.sum()} and {theirs.sum()} images over {len(ours)} and {len(theirs)} "
            "classes; both need an image and the same classes"
        )
    return float(np.abs(ours / ours.sum() - theirs / theirs.sum()).sum() / 2)


def histogram_std_error(ours: np.ndarray, theirs: np.ndarray, rng: np.random.Generator) -> float:
    """Bootstrap standard error of `histogram_distance`: both sets of images are drawn again."""
    draws = [rng.multinomial(counts.sum(), counts / counts.sum(), RESAMPLES) for counts in (ours, theirs)]
    values = [histogram_distance(a, b) for a, b in zip(*draws, strict=True)]
    return float(np.std(values, ddof=1))


def class_histogram_scores(
    classifier: DomainClassifier, generated: Tensor, real: Tensor, train: Tensor, seed: int
) -> Iterator[Score]:
    """`class_histogram_distance` of samples to test images and, as its floor, of training images to them.

    All are given as the classifier's features ``[., 64]``.
    """
    ours, theirs, floor = (
        np.bincount(classifier.classes_of(part).numpy(), minlength=classifier.classes)
        for part in (generated, real, train)
    )
    error = histogram_std_error(ours, theirs, np.random.default_rng(derive_seed("class shares", seed)))
    arrays = {"generated": ours, "real": theirs}
    metric = "class_histogram_distance"
    yield Score(metric, histogram_distance(ours, theirs), error, len(generated), arrays=arrays)
    yield Score(f"{metric}_floor", histogram_distance(floor, theirs), None, len(train))


@measure(title="class histogram", labels=True, samples=True, reads=("fid_samples",))
def class_histogram(subject: Judged, folder: Path) -> Iterator[Record]:
    """The same of a run, whose counts it leaves in ``classes-<seed>.npz``."""
    assert subject.classifier is not None
    generated = subject.sample_features(subject.settings.fid_samples)
    train, seed = subject.domain_features("train"), subject.settings.seed
    real, rows = subject.domain_features(subject.against), training_rows(len(train), len(generated), seed)
    for score in class_histogram_scores(subject.classifier, generated, real, train[rows], seed):
        if score.arrays:
            subject.save(folder, "classes", **score.arrays)
        yield recorded(subject, score)
