"""Answers of measures are remembered by all that they follow from, and by nothing that passes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dgmbench.data.schema import image_schema
from dgmbench.data.views import view_of
from dgmbench.errors import CheckpointError, DamagedFileError, DataError
from dgmbench.evaluation.measure import Measure, measure
from dgmbench.evaluation.pictures.generator_pictures import generator_pictures
from dgmbench.evaluation.registry import all_measures
from dgmbench.evaluation.remembered import answered, key_of
from dgmbench.evaluation.subject import Subject
from dgmbench.results import Record
from dgmbench.settings import EvaluationSettings


class Sampler:
    """A model of images that draws nothing."""

    view = view_of("gray", image_schema((1, 8, 8), 17))


@pytest.fixture
def subject(tmp_path: Path) -> Any:
    """A run with two samples, evaluated with a store."""
    info = {"dataset": "d", "view": "gray", "model": "m", "seed": 3, "status": "completed", "n_samples": 2,
            "weights_sha256": "0", "settings": {"family": "vae"}, "sampling": {}, "schema": {}}  # fmt: skip
    (tmp_path / "run").mkdir()
    np.save(tmp_path / "run" / "samples-3.npy", np.zeros((2, 1, 8, 8), np.uint8))
    run = SimpleNamespace(info=info, model=Sampler(), folder=tmp_path / "run", is_first=True)
    data = SimpleNamespace(schema=image_schema((1, 8, 8), 17), sha256="0", classes=None)
    settings = EvaluationSettings(store=str(tmp_path / "store"))

    def fresh(**changes: Any) -> Subject:
        values: dict[str, Any] = {"classifier": None, **changes}
        found: Any = Subject(data, settings, 0, torch.device("cpu"), **values, run=run)  # type: ignore[arg-type]
        return found

    return fresh


@pytest.mark.parametrize("error", [CheckpointError, DataError, DamagedFileError])
def test_a_file_that_is_missing_for_a_while_is_not_remembered(
    error: type[Exception], subject: Any, tmp_path: Path
) -> None:
    there = False

    @measure()
    def of_a_file(subject: Subject, folder: Path) -> Iterator[Record]:
        if not there:
            raise error("no file")
        yield subject.record("recall", 1.0, n=2, unit="1", kind="exact")

    first = subject()
    assert list(answered(of_a_file, first, tmp_path)) == [] and len(first.left_out) == 1
    there = True
    second = subject()
    assert len(list(answered(of_a_file, second, tmp_path))) == 1 and second.left_out == []


def test_what_a_model_cannot_give_is_remembered(subject: Any, tmp_path: Path) -> None:
    asked = []

    @measure()
    def hopeless(subject: Subject, folder: Path) -> Iterator[Record]:
        asked.append(1)
        raise ValueError("too few samples")
        yield

    for _ in range(2):
        found = subject()
        assert list(answered(hopeless, found, tmp_path)) == [] and len(found.left_out) == 1
    assert len(asked) == 1


def test_other_samples_of_equal_weights_are_judged_anew(subject: Any) -> None:
    """Such as those that other code draws, or other conditions."""

    def keys() -> tuple[Any, Any]:
        found = subject()
        return key_of(Measure(_nothing, samples=True), found), key_of(Measure(_nothing), found)

    of_samples, of_model = keys()
    folder = subject().run.folder
    np.save(folder / "samples-3.npy", np.ones((2, 1, 8, 8), np.uint8))
    other = keys()
    assert other[0] != of_samples and other[1] == of_model
    np.save(folder / "conditions-3.npy", np.zeros(2, np.int64))
    assert keys()[0] != other[0]


def test_pictures_that_ask_the_classifier_follow_from_it(
    subject: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = []
    for identity in ("one", "another"):
        found = subject(classifier=object())
        found.domain = SimpleNamespace(identity=identity)
        keys.append(key_of(generator_pictures, found))
    assert keys[0] != keys[1]


def test_no_answer_depends_on_whether_a_run_is_the_first_but_by_being_asked() -> None:
    """A seed that becomes the first, or is no longer, keeps its results; its pictures are made then."""
    for each in all_measures():
        source = Path(each.run.__code__.co_filename).read_text(encoding="utf-8")
        assert "is_first" not in source, each.name


def _nothing(subject: Subject, folder: Path) -> Iterator[Record]:
    return iter(())
