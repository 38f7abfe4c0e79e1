"""Codes are computed once, and every way of sampling is a subject of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.data.dataset import load_dataset
from dgmbench.data.prepare import prepare
from dgmbench.data.schema import image_schema
from dgmbench.data.views import view_of
from dgmbench.evaluation.subject import Subject
from dgmbench.settings import EvaluationSettings


class TwoWays:
    """Encodes by doubling, counts the images it encodes, and samples ones or noughts."""

    view = view_of("gray", image_schema((1, 8, 8), 17))
    ways, way = ("ones", "noughts"), "ones"

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, x: Tensor) -> Tensor:
        self.encoded += len(x)
        return 2 * x.flatten(1)

    def sample_by(self, way: str, n: int, generator: torch.Generator) -> Tensor:
        return torch.full((n, 1, 8, 8), float(way == "ones"))


def subject_of(tmp_path: Path) -> Subject:
    prepare("digits", tmp_path / "digits", seed=0)
    model: Any = TwoWays()
    info = {"dataset": "digits", "view": "gray", "model": "ae", "seed": 1, "n_samples": 7}
    run: Any = SimpleNamespace(model=model, info=info)
    data = load_dataset("digits", tmp_path)
    return Subject(data, EvaluationSettings(batch_size=3), 0, torch.device("cpu"), None, run=run)


def test_a_split_is_encoded_once_and_a_shorter_request_is_its_head(tmp_path: Path) -> None:
    subject = subject_of(tmp_path)
    model: Any = subject.run.model
    whole = subject.features("test")
    assert whole.dtype == np.float64 and model.encoded == len(whole)
    np.testing.assert_array_equal(subject.features("test", 5), whole[:5])
    np.testing.assert_allclose(whole, 2 * subject.inputs("test").flatten(1).double().numpy(), rtol=1e-6)
    assert model.encoded == len(whole)
    subject.features("valid", 4)
    subject.features("valid", 6)
    assert model.encoded == len(whole) + 4 + 6


def test_every_other_way_has_samples_and_records_under_a_name_of_its_own(tmp_path: Path) -> None:
    subject = subject_of(tmp_path)
    (other,) = subject.in_other_ways()
    assert other.samples.shape == (7, 1, 8, 8) and int(other.samples.max()) == 0
    assert other.record("fid_domain", 1.0, n=7, unit="1", kind="estimate").model == "ae/noughts"
    assert subject.record("fid_domain", 1.0, n=7, unit="1", kind="estimate").model == "ae"
    assert other.codes is subject.codes


def test_a_permutation_of_samples_keeps_their_conditions(tmp_path: Path) -> None:
    """Each image is as bright as its condition says."""
    bright = np.arange(17, dtype=np.uint8).repeat(2)
    samples = np.broadcast_to(bright[:, None, None, None], (34, 1, 8, 8))
    subject = subject_of(tmp_path)
    run: Any = subject.run
    run.samples, run.conditions = lambda: samples, lambda: bright.astype(np.int64)
    assert subject.conditions is not None
    assert not torch.equal(subject.conditions, torch.from_numpy(bright).long())
    assert torch.equal(subject.samples[:, 0, 0, 0].long(), subject.conditions)
