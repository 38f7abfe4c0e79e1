"""Whether samples given a class are of that class, and pictures of them by class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.pictures.mean_pictures import DrawsAroundMeansGiven
from dgmbench.evaluation.pictures.sheets import LatentSheet, write_sheets
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import SamplesGivenCondition
from dgmbench.results import Record
from dgmbench.statistics import binomial_std_error

# Samples shown of each class.
SHOWN = 10


@measure(needs=(SamplesGivenCondition,), labels=True, samples=True, reads=("fid_samples",))
def conditional_accuracy(subject: Subject, folder: Path) -> Iterator[Record]:
    """`conditional_accuracy`: percent of samples that the domain classifier puts in the class asked for.

    The classifier's own mistakes are in it: test images of its accuracy would score that.
    """
    conditions = subject.conditions
    if conditions is None or subject.classifier is None:
        return
    limit = subject.settings.fid_samples
    wanted = conditions[:limit]
    found = subject.classifier.classes_of(subject.sample_features(limit))
    share = 100.0 * float((found == wanted).double().mean())
    error = binomial_std_error(share, len(wanted))
    yield subject.record(
        "conditional_accuracy", share, error,
        n=len(wanted), unit="percent", kind="estimate", seconds=subject.lap(),
    )  # fmt: skip


@measure(needs=(SamplesGivenCondition,), labels=True, samples=True, first_seed=True)
def samples_by_class(subject: Subject, folder: Path) -> Iterator[Record]:
    """Write ``conditional-<seed>.npz`` and ``.json`` of the first finished seed; yields no records."""
    if subject.conditions is not None:
        write_sheets(
            folder, f"conditional-{subject.run.info['seed']}", [by_class(subject, subject.conditions)]
        )
    return iter(())


def by_class(subject: Subject, conditions: Tensor) -> LatentSheet:
    """A row of samples for each class that was drawn often enough."""
    classes = [
        label for label in range(int(conditions.max()) + 1) if int((conditions == label).sum()) >= SHOWN
    ]
    rows = [subject.samples[conditions == label][:SHOWN] for label in classes]
    noisy = ", with noise in every pixel" if isinstance(subject.run.model, DrawsAroundMeansGiven) else ""
    return LatentSheet(
        "conditional",
        "Samples by class",
        f"A row for each class: samples drawn given that class, as they are scored{noisy}.",
        torch.cat(rows).numpy(),
        rows=len(rows),
        columns=SHOWN,
        levels=subject.levels,
        row_labels=tuple(str(label) for label in classes),
    )
