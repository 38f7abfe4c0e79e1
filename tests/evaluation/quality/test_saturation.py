"""The share of epochs with a discriminator that is right about everything, read off a training's history."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dgmbench.evaluation.quality.saturation import saturation
from dgmbench.evaluation.subject import Subject
from dgmbench.settings import EvaluationSettings

HISTORY = """step,epoch,split,name,value
10,1,train,discriminator_accuracy,0.5
10,1,valid,discriminator_accuracy,1.0
20,2,train,discriminator_accuracy,0.991
20,2,train,discriminator_loss,0.1
30,3,train,discriminator_accuracy,1.0
40,4,train,discriminator_accuracy,0.99
"""


def subject_of(tmp_path: Path) -> Subject:
    info = {"dataset": "d", "view": "gray", "model": "m", "seed": 3}
    run: Any = SimpleNamespace(info=info, folder=tmp_path, model=SimpleNamespace(view="gray"))
    return Subject(None, EvaluationSettings(), 0, torch.device("cpu"), None, run=run)  # type: ignore[arg-type]


def test_epochs_of_training_above_the_limit_are_counted(tmp_path: Path) -> None:
    (tmp_path / "history-3.csv").write_text(HISTORY, encoding="utf-8")
    (record,) = saturation(subject_of(tmp_path), tmp_path)
    assert (record.metric, record.n, record.unit) == ("discriminator_saturated", 4, "percent")
    assert record.value == pytest.approx(50.0)


def test_a_model_without_a_discriminator_has_none(tmp_path: Path) -> None:
    assert list(saturation(subject_of(tmp_path), tmp_path)) == []
    (tmp_path / "history-3.csv").write_text("step,epoch,split,name,value\n1,1,train,loss,1.0\n")
    assert list(saturation(subject_of(tmp_path), tmp_path)) == []
