"""All scores of samples against a reference; what cannot be had is told and costs no other score."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

from torch import Tensor

from dgmbench.errors import DgmbenchError
from dgmbench.evaluation.features.classifier import FEATURES
from dgmbench.evaluation.features.embed import embedded
from dgmbench.evaluation.features.feature_spaces import DomainSpace, FeatureSpace
from dgmbench.evaluation.features.inception import WIDTH
from dgmbench.evaluation.quality.class_shares import class_histogram_scores
from dgmbench.evaluation.quality.scores import Floor, Score, diversity_score, space_scores, wanted_inception
from dgmbench.evaluation.quality.sharpness import ratios
from dgmbench.evaluation.score.reference import Reference
from dgmbench.evaluation.subsets import some_images, training_rows
from dgmbench.settings import EvaluationSettings
from dgmbench.store import Store

Space = Literal["domain", "inception", "pixels"]
TITLES = {"domain": "domain", "inception": "Inception"}
WIDTHS = {"domain": FEATURES, "inception": WIDTH}


@dataclass(frozen=True)
class Scored:
    """A score, the space it was measured in, and what is to be said of it."""

    score: Score
    space: Space
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Scores that are had or left out together."""

    name: str
    space: Space
    scores: Callable[[], Iterable[Score]]


def all_scores(
    samples: Tensor, reference: Reference, settings: EvaluationSettings, mirror: Path | None
) -> tuple[list[Scored], list[str]]:
    """All scores that can be had, and a note on each group that cannot, or not as it should be.

    samples: [n, C, H, W] in `shuffled`'s order.
    """
    found: list[Scored] = []
    notes: list[str] = []
    for group in _groups(samples, reference, settings, mirror):
        scores: list[Score] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                scores += group.scores()
            except (DgmbenchError, ValueError) as error:
                notes.append(f"{group.name} left out: {error}")
        said = tuple(dict.fromkeys(str(w.message) for w in caught))
        found += [Scored(score, group.space, said) for score in scores]
        notes += [f"{group.name}: {text}" for text in said]
    return found, notes


def _groups(
    samples: Tensor, reference: Reference, settings: EvaluationSettings, mirror: Path | None
) -> Iterator[Group]:
    @cache
    def domain() -> tuple[Tensor, Tensor, Tensor]:
        return _features(DomainSpace(reference.judge.classifier), samples, reference, None, settings)

    @cache
    def inception() -> tuple[Tensor, Tensor, Tensor] | None:
        space = wanted_inception(settings.inception, reference.device, mirror)
        if space is None:
            return None
        return _features(space, samples, reference, settings.inception.samples, settings)

    def histogram() -> Iterable[Score]:
        return class_histogram_scores(reference.judge.classifier, *domain(), settings.seed)

    yield from _in_space("domain", domain, settings)
    yield Group("class histogram", "domain", histogram)
    yield from _in_space("inception", inception, settings)
    yield Group("diversity", "pixels", lambda: [diversity_score(samples, reference.real, settings)])
    yield Group("sharpness", "pixels", lambda: _sharpness(samples, reference))


def _features(
    space: FeatureSpace,
    samples: Tensor,
    reference: Reference,
    limit: int | None,
    settings: EvaluationSettings,
) -> tuple[Tensor, Tensor, Tensor]:
    """Those of at most `limit` samples and test images, and of as many training images as samples."""
    store = Store(settings.store)
    generated, real = (some_images(images, limit, settings.seed) for images in (samples, reference.real))
    train = reference.train[training_rows(len(reference.train), len(generated), settings.seed)]
    first, second, third = (embedded(space, images, store) for images in (generated, real, train))
    return first, second, third


def _in_space(
    space: Literal["domain", "inception"],
    features: Callable[[], tuple[Tensor, Tensor, Tensor] | None],
    settings: EvaluationSettings,
) -> Iterator[Group]:
    """Each score of a space by itself; where its features cannot be had, that alone."""
    try:
        found = features()
        if found is None:
            return
        generated, real, train = found
        groups = list(space_scores(space, generated, real, Floor.of(space, train, real, settings), settings))
    except (DgmbenchError, ValueError) as error:
        yield Group(f"{TITLES[space]} features", space, partial(_refuse, error))
        return
    yield from (Group(name, space, scores.__iter__) for name, scores in groups)


def _refuse(error: Exception) -> Iterator[Score]:
    raise error


def _sharpness(samples: Tensor, reference: Reference) -> Iterator[Score]:
    for metric, measure in ratios(reference.view).items():
        found = measure(samples, reference.real)
        yield Score(metric, found.ratio, found.std_error, len(samples))


def too_few(found: list[Scored], samples: int, real: int) -> list[str]:
    """A sentence if the images are fewer than the features that they are described by.

    samples, real: numbers of images.
    """
    widths = [WIDTHS[scored.space] for scored in found if scored.score.metric.startswith("fid_")]
    width = min(widths, default=FEATURES)
    if min(samples, real) > width:
        return []
    return [
        f"{samples:,} samples and {real:,} test images are too few for {width:,} features: every value "
        "below is a heuristic, which orders no models"
    ]
