"""Sample quality: samples against held-out images, in every feature space there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from dgmbench.evaluation.features.feature_spaces import FeatureSpace
from dgmbench.evaluation.judged import Judged
from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.quality.diversity import pairwise_distance_ratio
from dgmbench.evaluation.quality.scores import Floor, Score, fid_scores, fidelity_scores, kernel_scores
from dgmbench.evaluation.subsets import training_rows
from dgmbench.results import Record

Scores = Callable[..., Iterator[Score]]
# A floor holds all scores of training images, so each measure that shows one follows from these.
FLOORED = ("kid_samples", "prdc_samples", "prdc_neighbours")
IN_DOMAIN = ("fid_samples", *FLOORED)
IN_INCEPTION = ("inception", *FLOORED)


@measure(title="FID (domain)", labels=True, samples=True, reads=IN_DOMAIN)
def domain_fid(subject: Judged, folder: Path) -> Iterator[Record]:
    """Fréchet distance in the domain classifier's features, its floor, and its value without bias."""
    return _scored(subject, domain(subject), fid_scores, folder)


@measure(title="KID (domain)", labels=True, samples=True, reads=IN_DOMAIN)
def domain_kid(subject: Judged, folder: Path) -> Iterator[Record]:
    """Kernel distance in the domain classifier's features, and its floor."""
    return _scored(subject, domain(subject), kernel_scores, folder)


@measure(title="precision, recall, density and coverage (domain)", labels=True, samples=True, reads=IN_DOMAIN)
def domain_fidelity(subject: Judged, folder: Path) -> Iterator[Record]:
    """Precision, recall, density and coverage in the domain classifier's features, and their floors."""
    return _scored(subject, domain(subject), fidelity_scores, folder)


@measure(title="FID (Inception)", samples=True, reads=IN_INCEPTION)
def inception_fid(subject: Judged, folder: Path) -> Iterator[Record]:
    """As `domain_fid` in the Inception network's features, where that is in use."""
    return _scored(subject, inception(subject), fid_scores, folder)


@measure(title="KID (Inception)", samples=True, reads=IN_INCEPTION)
def inception_kid(subject: Judged, folder: Path) -> Iterator[Record]:
    """As `domain_kid` in the Inception network's features, where that is in use."""
    return _scored(subject, inception(subject), kernel_scores, folder)


@measure(title="precision, recall, density and coverage (Inception)", samples=True, reads=IN_INCEPTION)
def inception_fidelity(subject: Judged, folder: Path) -> Iterator[Record]:
    """As `domain_fidelity` in the Inception network's features, where that is in use."""
    return _scored(subject, inception(subject), fidelity_scores, folder)


@measure(samples=True, reads=("diversity_samples",))
def diversity(subject: Judged, folder: Path) -> Iterator[Record]:
    """Mean pairwise distance of samples over that of held-out images, in pixels."""
    limit = subject.settings.diversity_samples
    images = subject.sample_pixels(limit)
    found = pairwise_distance_ratio(images, subject.held_out_pixels(limit))
    yield recorded(subject, Score("pairwise_distance_ratio", found.ratio, found.std_error, len(images)))


@dataclass(frozen=True)
class InSpace:
    """Features of samples [n, f] and of held-out images [m, f], and `train`, which gives those of the floor.

    rows: which held-out images the real ones are, int64 [m]; None: all.
    """

    space: FeatureSpace
    generated: Tensor
    real: Tensor
    train: Callable[[], Tensor]
    rows: np.ndarray[Any, Any] | None = None


def domain(subject: Judged) -> InSpace:
    """In the domain classifier's features: all held-out images."""
    assert subject.domain is not None
    generated = subject.sample_features(subject.settings.fid_samples)

    def train() -> Tensor:
        features = subject.domain_features("train")
        return features[training_rows(len(features), len(generated), subject.settings.seed)]

    return InSpace(subject.domain, generated, subject.domain_features(subject.against), train)


def inception(subject: Judged) -> InSpace | None:
    """In the Inception network's: as many held-out images as samples at most; None where it is not in use."""
    space = subject.inception
    if space is None:
        return None
    limit = subject.settings.inception.samples
    generated = subject.embedded(space, subject.sample_pixels(limit))
    real = subject.embedded(space, subject.held_out_pixels(limit))

    def train() -> Tensor:
        images = subject.raw("train")
        chosen = images[training_rows(len(images), len(generated), subject.settings.seed)]
        return subject.embedded(space, subject.view.display(chosen))

    return InSpace(space, generated, real, train, subject.held_out_rows(limit).numpy())


def _scored(subject: Judged, sets: InSpace | None, scores: Scores, folder: Path) -> Iterator[Record]:
    """Records of the scores in a space; none where the space is not in use."""
    if sets is None:
        return
    space, settings = sets.space, subject.settings
    kept = subject.of_real_images(
        "floor",
        space.identity,
        *(len(sets.generated), len(sets.real)),
        # What the floor is made with besides the images.
        *(settings.kid_samples, settings.prdc_samples, settings.prdc_neighbours),
        compute=lambda: Floor.of(space.name, sets.train(), sets.real, settings).arrays,
    )
    for score in scores(space.name, sets.generated, sets.real, Floor.from_arrays(kept), settings):
        if score.arrays:
            subject.save(folder, f"fid-{space.name}", **score.arrays)
        yield recorded(subject, score, sets.rows)


def recorded(subject: Judged, score: Score, rows: np.ndarray[Any, Any] | None = None) -> Record:
    """The record of a score; its points become the subject's."""
    if score.points is not None:
        subject.points[score.metric, "1"] = score.points if rows is None else score.points.placed(rows)
    return subject.record(
        score.metric,
        score.value,
        subject.error_of(score.std_error, score.points),
        n=score.n,
        unit="1",
        kind=score.kind,
        seconds=subject.lap(),
    )
