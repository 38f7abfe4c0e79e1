"""Stored results of measures: what has not changed is not measured again.

A result depends on the code of its measure and of the model's family, the settings that the measure
declares, the run's weights and samples, the data, the classifier, and the versions of libraries. A change to
one of these runs that measure again, and no other. What a file that is missing or damaged left unmeasured is
not stored: the file may be whole the next time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.errors import CheckpointError, DamagedFileError, DataError
from dgmbench.evaluation.left_out import LeftOut
from dgmbench.evaluation.measure import Measure
from dgmbench.evaluation.registry import all_measures
from dgmbench.evaluation.subject import Subject
from dgmbench.files import replacing, sha256_json
from dgmbench.models.registry import family_module
from dgmbench.points import Points
from dgmbench.provenance import code_key
from dgmbench.results import Record
from dgmbench.store import Store

# Errors of files, which may be gone the next time.
PASSING = (CheckpointError, DataError, DamagedFileError)


class _Unfit(Exception):
    """Carries an answer that is given and not remembered."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__()
        self.answer = answer


def answered(measure: Measure, subject: Subject, folder: Path) -> Iterator[Record]:
    """The records of a measure, asked now or remembered; its files go into `folder`."""
    if measure.cheap:
        subject.lap()
        yield from subject.attempt(measure.words, lambda: measure(subject, folder))
        return
    try:
        answer = Store(subject.settings.store).remembered(
            key_of(measure, subject), lambda: _ask(measure, subject)
        )
    except _Unfit as unfit:
        answer = unfit.answer
    for name, content in answer["files"].items():
        with replacing(folder / name) as aside:
            aside.write_bytes(content.tobytes())
    subject.left_out += [LeftOut(**each) for each in answer["left_out"]]
    subject.kept |= answer["kept"]
    for metric, unit, images, values in answer["points"]:
        subject.points[metric, unit] = Points(images, values)
    yield from (Record(**each) for each in answer["records"])


def _ask(measure: Measure, subject: Subject) -> dict[str, Any]:
    """Everything that a measure leaves, as what a store can hold.

    Raises:
        _Unfit: with the same, where a file was missing or damaged.
    """
    left_out, kept, points = len(subject.left_out), dict(subject.kept), dict(subject.points)
    passing = False

    def asked(folder: Path) -> Iterator[Record]:
        nonlocal passing
        try:
            yield from measure(subject, folder)
        except PASSING:
            passing = True
            raise

    subject.lap()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        records = list(subject.attempt(measure.words, lambda: asked(work)))
        failed, subject.left_out = subject.left_out[left_out:], subject.left_out[:left_out]
        paths = sorted(path for path in work.rglob("*") if path.is_file())
        files = {str(path.relative_to(work)): np.fromfile(path, dtype=np.uint8) for path in paths}
    answer = {
        "records": [asdict(record) for record in records],
        "files": files,
        "left_out": [asdict(each) for each in failed],
        "kept": {key: value for key, value in subject.kept.items() if key not in kept},
        "points": [
            [metric, unit, found.images, found.values]
            for (metric, unit), found in subject.points.items()
            if (metric, unit) not in points
        ],
    }
    if passing:
        raise _Unfit(answer)
    return answer


def key_of(measure: Measure, subject: Subject) -> dict[str, Any]:
    """Everything that a result depends on, as JSON values."""
    run = subject.run.info
    judged = _classifier(subject) if measure.labels or measure.classifier else None
    inception = subject.inception.identity if subject.inception and "inception" in measure.reads else None
    return {
        "measure": measure.name,
        "code": code_key(measure.module, family_module(run["settings"]["family"])),
        "settings": measure.settings_in_force(subject.settings),
        "run": {key: run[key] for key in ("dataset", "model", "seed", "settings", "sampling", "schema")},
        "weights": run["weights_sha256"],
        "samples": subject.samples_sha256 if measure.samples else None,
        "way": subject.way,
        "data": subject.data.sha256,
        "data_seed": subject.data_seed,
        "device": subject.device.type,
        "classifier": judged,
        "inception": inception,
        # Whether there were results to compare with, besides what they depend on.
        "kept": sorted(subject.kept) if measure.after else [],
        "after": [
            sha256_json(key_of(other, subject))
            for other in all_measures()
            if other.name in measure.after
            and other.applies_to(subject.data.schema, subject.view.name, subject.run.model)
        ],
    }


def hash_code(family: str) -> None:
    """Hash the code behind every measure, so that processes that are forked later need not."""
    for each in all_measures():
        code_key(each.module, family_module(family))


def _classifier(subject: Subject) -> str | None:
    return None if subject.domain is None else subject.domain.identity
