"""Which classes a model draws, by the domain classifier. Dropped classes show here first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dgmbench.evaluation.judged import Judged
from dgmbench.evaluation.measure import measure
from dgmbench.results import Record

# A class counts as drawn if its share of samples is at least one in so many of its share of test images.
RARE = 10


@dataclass(frozen=True)
class ClassCoverage:
    """Of n samples: the share of the data's classes that are drawn, and their effective number.

    The latter is exp(H) of the samples' class shares: 10 for ten classes alike, 1 for one alone.
    """

    coverage: float
    effective: float
    effective_std_error: float
    n: int


def class_coverage(predicted: Tensor, real: Tensor, classes: int) -> ClassCoverage:
    """Of classes ``predicted [n]`` of samples and ``real [m]`` of test images, int64, by one classifier.

    Raises ValueError where either is empty.
    """
    if len(predicted) == 0 or len(real) == 0:
        raise ValueError("class coverage needs samples and test images")
    counts, due = (torch.bincount(labels, minlength=classes) for labels in (predicted, real))
    there = due > 0
    drawn = there & (RARE * counts * len(real) >= due * len(predicted))
    shares = counts.double() / len(predicted)
    logs = torch.where(shares > 0, shares, 1.0).log()
    entropy = -float((shares * logs).sum())
    # The delta method, for draws from a multinomial.
    variance = max(float((shares * logs.square()).sum()) - entropy**2, 0.0) / len(predicted)
    effective = math.exp(entropy)
    share = float(drawn.sum() / there.sum())
    return ClassCoverage(share, effective, effective * math.sqrt(variance), len(predicted))


@measure(labels=True, samples=True, reads=("fid_samples",))
def coverage_of_classes(subject: Judged, folder: Path) -> Iterator[Record]:
    """Class coverage and the effective number of classes; nothing without a classifier."""
    assert subject.classifier is not None
    limit = subject.settings.fid_samples
    features = subject.sample_features(limit), subject.domain_features(subject.against)
    predicted, real = (subject.classifier.classes_of(each) for each in features)
    found = class_coverage(predicted, real, subject.classifier.classes)
    seconds = subject.lap()
    yield subject.record(
        "class_coverage", found.coverage, n=found.n, unit="1", kind="estimate", seconds=seconds
    )
    yield subject.record(
        "effective_classes", found.effective, found.effective_std_error, n=found.n, unit="1", kind="estimate"
    )
