"""The measures of samples, applied to images of any origin; what cannot be had costs no other score."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from dgmbench.data.views import view_of
from dgmbench.errors import DgmbenchError
from dgmbench.evaluation.features.classifier import FEATURES, DomainClassifier
from dgmbench.evaluation.features.feature_spaces import FeatureSpace
from dgmbench.evaluation.features.inception import WIDTH
from dgmbench.evaluation.given import Given
from dgmbench.evaluation.measure import Measure
from dgmbench.evaluation.quality.scores import wanted_inception
from dgmbench.evaluation.registry import all_measures
from dgmbench.evaluation.score.reference import Reference
from dgmbench.results import Record
from dgmbench.settings import EvaluationSettings

Space = Literal["domain", "inception", "own"]
WIDTHS = {"domain": FEATURES, "inception": WIDTH}


@dataclass(frozen=True)
class Scored:
    """A record, the space that its images are seen in, and what there is to say of it."""

    record: Record
    space: Space
    notes: tuple[str, ...] = ()


def all_scores(
    samples: Tensor, reference: Reference, settings: EvaluationSettings, mirror: Path | None, name: str
) -> tuple[list[Scored], list[str]]:
    """All scores that can be had, and a note on each measure that cannot, or not as it should be.

    Args:
        samples: intensities [n, C, H, W] in `shuffled`'s order.
        name: what records call the model.
    """
    found: list[Scored] = []
    notes: list[str] = []
    classifier, inception = None, None
    with _noted("domain features", notes):
        classifier = reference.judge.classifier
    with _noted("Inception features", notes):
        inception = wanted_inception(settings.inception, reference.device, mirror)
    given = _given(samples, reference, settings, name, classifier, inception)
    with tempfile.TemporaryDirectory() as figures:
        for each in all_measures():
            if not each.applies_to(given.data.schema, given.view.name, None):
                continue
            if each.space != "domain" or classifier is not None:
                scored, said = _asked(each, given, Path(figures))
                found += scored
                notes += said
    return found, notes


@contextmanager
def _noted(what: str, notes: list[str]) -> Iterator[None]:
    try:
        yield
    except (DgmbenchError, ValueError) as error:
        notes.append(f"{what} left out: {error}")


def _given(
    samples: Tensor,
    reference: Reference,
    settings: EvaluationSettings,
    name: str,
    classifier: DomainClassifier | None,
    inception: FeatureSpace | None,
) -> Given:
    # All samples are scored: --limit has taken its part.
    settings = settings.model_copy(update={"fid_samples": len(samples)})
    return Given(
        reference.data,
        settings,
        0,
        reference.device,
        classifier,
        inception=inception,
        images=samples,
        own_view=view_of(reference.view, reference.data.schema),
        called=name,
    )


def _asked(measure: Measure, given: Given, folder: Path) -> tuple[list[Scored], list[str]]:
    """What a measure finds, and notes: its warnings, and what it had to leave out."""
    before = len(given.left_out)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        records = list(given.attempt(measure.words, lambda: measure(given, folder)))
    said = tuple(dict.fromkeys(str(w.message) for w in caught))
    notes = [f"{each.metric} left out: {each.reason}" for each in given.left_out[before:]]
    notes += [f"{measure.words}: {text}" for text in said]
    return [Scored(record, measure.space, said) for record in records], notes


def too_few(found: list[Scored], samples: int, real: int) -> list[str]:
    """A sentence if the images are fewer than the features that they are described by.

    samples, real: numbers of images.
    """
    widths = [WIDTHS[scored.space] for scored in found if scored.record.metric.startswith("fid_")]
    width = min(widths, default=FEATURES)
    if min(samples, real) > width:
        return []
    return [
        f"{samples:,} samples and {real:,} test images are too few for {width:,} features: every value "
        "below is a heuristic, which orders no models"
    ]
