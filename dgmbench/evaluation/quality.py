"""Sample quality of a run: its samples against held-out images, in every feature space there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from dgmbench.evaluation.arrays import save_arrays
from dgmbench.evaluation.feature_spaces import FeatureSpace
from dgmbench.evaluation.scores import (
    Score,
    diversity_score,
    fid_scores,
    fidelity_scores,
    kernel_scores,
    training_subset,
)
from dgmbench.evaluation.subject import Subject
from dgmbench.results import Record


def domain_quality(subject: Subject, folder: Path) -> Iterator[Record]:
    """FID, KID, precision, recall, density and coverage in the domain classifier's feature space."""
    if subject.domain is not None:
        yield from _in_space(subject, subject.domain, subject.settings.fid_samples, None, folder)


def inception_quality(subject: Subject, folder: Path) -> Iterator[Record]:
    """The same in the Inception network's, where that is in use, of as many test images as samples."""
    if subject.inception is not None:
        limit = subject.settings.inception.samples
        yield from _in_space(subject, subject.inception, limit, limit, folder)


def diversity(subject: Subject, folder: Path) -> Iterator[Record]:
    """Mean pairwise distance of samples over that of test images, in pixels."""
    limit = subject.settings.diversity_samples
    score = diversity_score(subject.sample_pixels(limit), subject.pixels("test", limit), subject.settings)
    yield _record(subject, score)


def _in_space(
    subject: Subject, space: FeatureSpace, limit: int, real_limit: int | None, folder: Path
) -> Iterator[Record]:
    samples = subject.sample_pixels(limit)
    train = training_subset(subject.pixels("train"), len(samples), subject.settings.seed)
    sets = (samples, subject.pixels("test", real_limit), train)
    for score in _scores(space.name, [subject.embedded(space, images) for images in sets], subject):
        if score.arrays:
            save_arrays(folder / f"fid-{space.name}-{subject.run.info['seed']}.npz", **score.arrays)
        yield _record(subject, score)


def _scores(space: str, features: list[Tensor], subject: Subject) -> Iterator[Score]:
    generated, real, train = features
    yield from fid_scores(space, generated, real, train, subject.settings)
    yield from kernel_scores(space, generated, real, subject.settings)
    yield from fidelity_scores(space, generated, real, subject.settings)


def _record(subject: Subject, score: Score) -> Record:
    return subject.record(
        score.metric,
        score.value,
        score.std_error,
        n=score.n,
        unit="1",
        kind=score.kind,
        seconds=subject.lap(),
    )
