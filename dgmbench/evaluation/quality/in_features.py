"""Sample quality of a run: its samples against held-out images, in every feature space there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from dgmbench.evaluation.arrays import save_arrays
from dgmbench.evaluation.features.feature_spaces import FeatureSpace
from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.quality.scores import (
    Floor,
    Score,
    diversity_score,
    space_scores,
)
from dgmbench.evaluation.subject import Subject
from dgmbench.evaluation.subsets import training_rows
from dgmbench.results import Record


@measure(labels=True, samples=True, reads=("fid_samples", "kid_samples", "prdc_samples", "prdc_neighbours"))
def domain_quality(subject: Subject, folder: Path) -> Iterator[Record]:
    """FID, KID, precision, recall, density and coverage in the domain classifier's feature space."""
    assert subject.domain is not None
    generated = subject.sample_features(subject.settings.fid_samples)
    real = subject.domain_features("test")

    def train() -> Tensor:
        features = subject.domain_features("train")
        return features[training_rows(len(features), len(generated), subject.settings.seed)]

    yield from _in_space(subject, subject.domain, (generated, real), train, folder)


@measure(samples=True, reads=("inception", "kid_samples", "prdc_samples", "prdc_neighbours"))
def inception_quality(subject: Subject, folder: Path) -> Iterator[Record]:
    """The same in the Inception network's, where that is in use, of as many test images as samples."""
    space, limit = subject.inception, subject.settings.inception.samples
    if space is None:
        return
    generated = subject.embedded(space, subject.sample_pixels(limit))
    real = subject.embedded(space, subject.held_out_pixels(limit))
    rows = subject.held_out_rows(limit).numpy()

    def train() -> Tensor:
        images = subject.raw("train")
        chosen = images[training_rows(len(images), len(generated), subject.settings.seed)]
        return subject.embedded(space, subject.view.display(chosen))

    yield from _in_space(subject, space, (generated, real), train, folder, rows)


@measure(samples=True, reads=("diversity_samples",))
def diversity(subject: Subject, folder: Path) -> Iterator[Record]:
    """Mean pairwise distance of samples over that of test images, in pixels."""
    limit = subject.settings.diversity_samples
    score = diversity_score(subject.sample_pixels(limit), subject.held_out_pixels(limit), subject.settings)
    yield _record(subject, score)


def _in_space(
    subject: Subject,
    space: FeatureSpace,
    sets: tuple[Tensor, Tensor],
    train: Callable[[], Tensor],
    folder: Path,
    rows: np.ndarray[Any, Any] | None = None,
) -> Iterator[Record]:
    """Records of features generated [n, f] against real [m, f]; `train` gives those of the floor.

    rows: which test images the real ones are, int64 [m]; None: all.
    """
    generated, real = sets
    sizes = len(generated), len(real)
    settings = subject.settings
    # What the floor is made with besides the images.
    made_with = settings.kid_samples, settings.prdc_samples, settings.prdc_neighbours
    kept = subject.of_real_images(
        "floor",
        space.identity,
        *sizes,
        *made_with,
        compute=lambda: Floor.of(space.name, train(), real, settings).arrays,
    )
    floor = Floor.from_arrays(kept)
    for name, scores in space_scores(space.name, generated, real, floor, settings):
        for score in subject.attempt(name, scores.__iter__):
            if score.arrays:
                save_arrays(folder / f"fid-{space.name}-{subject.run.info['seed']}.npz", **score.arrays)
            yield _record(subject, score, rows)


def _record(subject: Subject, score: Score, rows: np.ndarray[Any, Any] | None = None) -> Record:
    """Its error is over test images alone where that is known: the samples' is in the spread of seeds."""
    if score.points is not None:
        subject.points[score.metric, "1"] = score.points if rows is None else score.points.placed(rows)
    return subject.record(
        score.metric,
        score.value,
        score.over_test,
        n=score.n,
        unit="1",
        kind=score.kind,
        seconds=subject.lap(),
    )
