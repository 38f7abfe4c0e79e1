"""What all probes share: the labelled features of a run, how a setting is chosen, and the record of an error.

A run of seed s is probed with label set s, the one that a classifier of that seed is trained on
(`dgmbench.data.labels`). Hyper-parameters are chosen on as many labelled validation images, or the largest
balanced number that there is, since few labels for training mean few for choosing too. The test images are
predicted once, after that.

Features are standardised by the mean and deviation of training images, labelled or not, as nothing in that
uses a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dgmbench.data.labels import labelled_rows, labelled_validation_rows, most_balanced
from dgmbench.errors import LabelsError
from dgmbench.evaluation.likelihood.estimators import PointEstimates
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import CanEncode
from dgmbench.points import Points
from dgmbench.results import Record

# Settings that all probes read.
PROBE_SETTINGS = ("probe_pool", "probe_labels")
Array = np.ndarray[Any, Any]
# Predicts the labels [n] of features [n, f].
Predictor = Callable[[Array], Array]


@dataclass(frozen=True)
class ProbeSet:
    """Standardised features [n, f] and labels [n] to learn from, to choose by, and to be judged on."""

    train: tuple[Array, Array]
    valid: tuple[Array, Array]
    test: tuple[Array, Array]

    @classmethod
    def standardised(
        cls, pool: Array, train: tuple[Array, Array], valid: tuple[Array, Array], test: tuple[Array, Array]
    ) -> ProbeSet:
        """Raw features by the mean and deviation of those of the pool [m, f].

        Raises:
            ValueError: for features that are not finite, or not as many as labels.
        """
        center, scale = _scale(_checked(pool, np.zeros(len(pool)), "pool")[0])
        parts = {"train": train, "valid": valid, "test": test}
        checked = {name: _checked(*part, name) for name, part in parts.items()}
        return cls(**{name: ((x - center) / scale, y) for name, (x, y) in checked.items()})


@dataclass(frozen=True)
class Probed:
    """What a probe predicts of the test images, int64 [n], by the setting that validation chose.

    valid_error: that of the setting on the validation images, in percent.
    """

    predictions: Array
    choice: float
    valid_error: float


def chosen(grid: Sequence[float], fit: Callable[[float], Predictor], sets: ProbeSet) -> Probed:
    """The least setting of the grid with the least error on the validation images, and its predictions.

    Raises:
        ValueError: for an empty grid.
    """
    if len(grid) == 0:
        raise ValueError("the grid is empty; one value alone works")
    features, labels = sets.valid
    fitted = {setting: fit(setting) for setting in sorted(grid)}
    errors = {setting: _error(predict(features), labels) for setting, predict in fitted.items()}
    best = min(errors, key=lambda setting: (errors[setting], setting))
    return Probed(fitted[best](sets.test[0]), float(best), errors[best])


def probe_errors(subject: Subject, name: str, probe: Callable[[ProbeSet], Probed]) -> Iterator[Record]:
    """``<name>_error_<labels>`` of each label count of the settings that the data set has."""
    for count, sets in _sets(subject, name):
        predictions = probe(sets).predictions
        wrong = torch.from_numpy(100.0 * (predictions != sets.test[1]))
        metric, found = f"{name}_error_{count}", PointEstimates(wrong)
        subject.points[metric, "percent"] = Points.of(wrong)
        yield subject.record(
            metric, found.mean(), found.std_error(),
            n=len(wrong), unit="percent", kind="exact", seconds=subject.lap(),
        )  # fmt: skip


def _sets(subject: Subject, name: str) -> Iterator[tuple[int, ProbeSet]]:
    """A set for each label count; counts that cannot be had are left out with their reason."""
    labels = {split: np.asarray(subject.data.labels(split)) for split in ("train", "valid", "test")}
    rows: dict[int, dict[str, Array]] = {}
    for count in subject.settings.probe_labels:
        try:
            rows[count] = _rows(labels, count, subject)
        except LabelsError as error:
            subject.leave_out(f"{name}_error_{count}", error)
    if not rows:
        return
    pool, test = subject.features("train", subject.settings.probe_pool), subject.features("test")
    known = {"train": pool, "valid": pool[:0]}
    for count, own in rows.items():
        train, valid = (
            (_features(subject, split, own[split], rows[max(rows)][split], first), labels[split][own[split]])
            for split, first in known.items()
        )
        yield count, ProbeSet.standardised(pool, train, valid, (test, labels["test"]))


def _rows(labels: dict[str, Array], count: int, subject: Subject) -> dict[str, Array]:
    seed, classes = subject.data_seed, subject.data.schema.classes
    assert classes is not None
    judging = most_balanced(labels["valid"], classes, count) or count
    return {
        "train": labelled_rows(labels["train"], classes, count, seed, subject.run.info["seed"]),
        "valid": labelled_validation_rows(labels["valid"], classes, judging, seed),
    }


def _features(subject: Subject, split: str, rows: Array, of_all: Array, first: Array) -> Array:
    """Features [n, f] of some images among those that are labelled at all, which are encoded once.

    first: features of the first images of the split, which are known.
    """
    if of_all.max() < len(first):
        return first[rows]
    key = (f"labelled {split}", len(of_all))
    if key not in subject.codes:
        model = subject.run.model
        assert isinstance(model, CanEncode)
        images = subject.inputs(split)[torch.from_numpy(of_all).to(subject.device)]
        with torch.no_grad():
            parts = [model.encode(x).double().cpu() for x in images.split(subject.settings.batch_size)]
        subject.codes[key] = torch.cat(parts).numpy()
    # Label sets are nested.
    return subject.codes[key][np.searchsorted(of_all, rows)]


def _error(predictions: Array, labels: Array) -> float:
    return 100.0 * float(np.mean(predictions != labels))


def _scale(features: Array) -> tuple[Array, Array]:
    """Mean and deviation per feature; a constant feature keeps deviation 1, so it becomes zero."""
    deviation = features.std(0)
    spread = deviation > 1e-12 * np.maximum(np.abs(features).max(0), 1e-300)
    return features.mean(0), np.where(spread, deviation, 1.0)


def _checked(features: Array, labels: Array, name: str) -> tuple[Array, Array]:
    x, y = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if x.ndim != 2 or len(x) == 0 or y.shape != (len(x),):
        raise ValueError(f"{name}: features [n, f] and labels [n], n >= 1, not {x.shape} and {y.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: features hold NaN or infinite values")
    return x, y
