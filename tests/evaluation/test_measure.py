"""Results of measures: what they depend on, and what is measured again."""

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
from dgmbench.evaluation import remembered
from dgmbench.evaluation.measure import Measure, measure
from dgmbench.evaluation.registry import MEASURES, all_measures
from dgmbench.evaluation.remembered import answered, key_of
from dgmbench.evaluation.subject import Subject
from dgmbench.points import Points
from dgmbench.results import Record
from dgmbench.settings import EvaluationSettings

SCHEMA = image_schema((1, 8, 8), 17)
asked: list[int] = []


@measure(reads=("fid_samples",))
def counted(subject: Subject, folder: Path) -> Iterator[Record]:
    asked.append(subject.settings.fid_samples)
    (folder / "array.npz").write_bytes(b"bytes")
    subject.points["recall", "1"] = Points.of(np.arange(3.0))
    subject.kept["exact"] = torch.tensor([1.0, float("nan")], dtype=torch.float64)
    subject.leave_out("precision", "too few")
    yield subject.record("recall", 0.5, 0.1, n=3, unit="1", kind="estimate")


@measure()
def curious(subject: Subject, folder: Path) -> Iterator[Record]:
    yield subject.record("recall", subject.settings.kid_samples, n=1, unit="1", kind="estimate")


@pytest.fixture(autouse=True)
def none_asked() -> None:
    asked.clear()


def subject_of(tmp_path: Path, weights: str = "0", **settings: Any) -> Subject:
    info = {"dataset": "d", "view": "gray", "model": "m", "seed": 3, "settings": {"family": "vae"},
            "weights_sha256": weights, "sampling": {}, "schema": {}}  # fmt: skip
    run: Any = SimpleNamespace(info=info, model=SimpleNamespace(view=view_of("gray", SCHEMA)))
    data: Any = SimpleNamespace(schema=SCHEMA, sha256="0")
    chosen = EvaluationSettings(store=str(tmp_path / "store"), **settings)
    return Subject(data, chosen, 0, torch.device("cpu"), None, run=run)


def answer(subject: Subject, folder: Path, of: Measure = counted) -> list[Record]:
    folder.mkdir(exist_ok=True)
    return list(answered(of, subject, folder))


def test_an_answer_is_remembered_with_all_that_it_leaves(tmp_path: Path) -> None:
    first, second = (subject_of(tmp_path) for _ in range(2))
    records = [answer(each, tmp_path / name) for each, name in ((first, "one"), (second, "two"))]
    assert records[0] == records[1] and len(asked) == 1
    assert (tmp_path / "two" / "array.npz").read_bytes() == b"bytes"
    for each in (first, second):
        assert [(left.metric, left.reason) for left in each.left_out] == [("precision", "too few")]
        np.testing.assert_array_equal(each.points["recall", "1"].values, np.arange(3.0))
        torch.testing.assert_close(
            each.kept["exact"], torch.tensor([1.0, float("nan")], dtype=torch.float64), equal_nan=True
        )


def test_what_an_answer_follows_from_asks_again_and_nothing_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(subject_of(tmp_path), tmp_path / "a")
    answer(subject_of(tmp_path, kid_samples=77), tmp_path / "a")
    assert len(asked) == 1
    answer(subject_of(tmp_path, fid_samples=50), tmp_path / "a")
    answer(subject_of(tmp_path, weights="1"), tmp_path / "a")
    answer(subject_of(tmp_path, seed=1), tmp_path / "a")
    assert len(asked) == 4
    monkeypatch.setattr(remembered, "code_key", lambda *modules: "edited")
    answer(subject_of(tmp_path), tmp_path / "a")
    assert len(asked) == 5


def test_a_measure_reads_what_it_declares(tmp_path: Path) -> None:
    subject = subject_of(tmp_path)
    with pytest.raises(AttributeError, match=r"'curious' reads evaluation\.kid_samples"):
        answer(subject, tmp_path / "a", curious)
    # The settings are whole again afterwards.
    assert subject.settings.kid_samples == EvaluationSettings().kid_samples


def test_every_measure_declares_settings_that_exist_and_measures_that_come_before() -> None:
    known = set(EvaluationSettings.model_fields)
    names = [each.name for each in all_measures()]
    assert names == list(MEASURES)
    for place, each in enumerate(all_measures()):
        assert set(each.reads) <= known, each.name
        assert set(each.after) <= set(names[:place]), each.name
        assert each.module == MEASURES[each.name]


def test_a_measure_that_compares_follows_from_the_other(tmp_path: Path) -> None:
    keys = [
        key_of(Measure(counted.run, after=("exact",)), subject_of(tmp_path, dequantisation_draws=draws))
        for draws in (2, 3)
    ]
    # The model of this subject has no exact likelihood, so there is nothing to follow from.
    assert keys[0] == keys[1] and keys[0]["after"] == []


def test_a_measure_that_compares_follows_from_whether_there_is_an_answer(tmp_path: Path) -> None:
    compares, subject = Measure(counted.run, after=("exact",)), subject_of(tmp_path)
    without = key_of(compares, subject)
    subject.kept["exact"] = torch.zeros(3)
    assert key_of(compares, subject) != without
    assert key_of(counted, subject) == key_of(counted, subject_of(tmp_path))
