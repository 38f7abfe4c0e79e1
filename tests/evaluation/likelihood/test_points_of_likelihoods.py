"""The values by test image of likelihoods: of the images that they name, with the records' errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dgmbench.data.schema import image_schema
from dgmbench.data.views import view_of
from dgmbench.evaluation.likelihood import annealed as annealed_module
from dgmbench.evaluation.likelihood import bounds as bounds_module
from dgmbench.evaluation.likelihood.annealed import annealed
from dgmbench.evaluation.likelihood.bounds import bounds
from dgmbench.evaluation.likelihood.estimators import PointEstimates
from dgmbench.evaluation.subject import Subject
from dgmbench.points import points_path, read_points
from dgmbench.settings import EvaluationSettings

SCHEMA = image_schema((1, 1, 1), 17)


class Data:
    """Nine test images of one pixel, each of its own level."""

    sha256 = "0"
    schema = SCHEMA

    def images(self, split: str) -> np.ndarray:
        return np.arange(9, dtype=np.uint8).reshape(9, 1, 1, 1)

    def size(self, split: str) -> int:
        return 9


class Model:
    """Can all that bounds and annealing ask for; they are replaced by the images' own levels."""

    view, latent_dim = view_of("gray", SCHEMA, continuous=False), 1

    def none(self, *arguments: Any) -> Any:
        raise AssertionError

    log_weights = prior_sample = prior_log_prob = decode = decoder_log_prob = decoder_sample = none


def of_images(x: Tensor) -> PointEstimates:
    size = torch.ones(len(x), dtype=torch.float64)
    return PointEstimates(x.flatten(1).double().sum(1), size)


def sampled(weigher: Any, x: Tensor, ks: Sequence[int], *_: Any, **__: Any) -> dict[int, PointEstimates]:
    return {k: of_images(x) for k in ks}


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Subject:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bounds_module, "elbo", lambda weigher, x, *_: of_images(x))
    monkeypatch.setattr(bounds_module, "importance_sampled_log_likelihood", sampled)
    monkeypatch.setattr(annealed_module, "_gap", lambda *_: iter(()))
    found = SimpleNamespace(acceptance=torch.ones(3))
    monkeypatch.setattr(
        annealed_module,
        "annealed_log_likelihood",
        lambda model, x, *_, **__: SimpleNamespace(estimates=of_images(x), acceptance=found.acceptance),
    )
    info = {"dataset": "d", "view": "gray", "model": "m", "seed": 4, "weights_sha256": "0"}
    run: Any = SimpleNamespace(model=Model(), info=info | {"settings": {"family": "vae"}})
    settings = EvaluationSettings(importance_samples=[2, 5], importance_points=4, ais={"points": 3})  # type: ignore[arg-type]
    return Subject(Data(), settings, 0, torch.device("cpu"), None, run=run)  # type: ignore[arg-type]


def test_bounds_of_some_images_say_which(subject: Subject, tmp_path: Path) -> None:
    records = {(r.metric, r.unit): r for m in (bounds, annealed) for r in m(subject, tmp_path)}
    subject.write_points(tmp_path)
    points = read_points(points_path(tmp_path, 4))
    counts = {"elbo": 9, "log_likelihood_is_2": 4, "log_likelihood_is_5": 4, "log_likelihood_ais": 3}
    assert {metric for metric, _ in points} == set(counts)
    for (metric, unit), found in points.items():
        assert len(found.values) == counts[metric] == records[metric, unit].n
        assert found.std_error == pytest.approx(records[metric, unit].std_error, rel=1e-5)
        if unit == "nats":
            # Images are as far apart in value as in place: each value is of the image that it names.
            assert np.diff(found.values) == pytest.approx(np.diff(found.images), abs=1e-5)
            assert found.values.mean() == pytest.approx(records[metric, unit].value, rel=1e-5)
        else:
            assert np.diff(found.values) == pytest.approx(np.diff(found.images) * -1 / np.log(2), abs=1e-5)
    assert points["log_likelihood_ais", "nats"].images.tolist() != [0, 1, 2]
    assert not list((tmp_path / "results").glob("*"))


def test_a_further_way_of_sampling_has_points_of_its_own(subject: Subject, tmp_path: Path) -> None:
    model: Any = subject.run.model
    model.way, model.ways = "prior", ("prior", "gaussian")
    model.sample_by = model.none
    (other,) = subject.in_other_ways()
    list(other.likelihood("log_likelihood_parzen", of_images(torch.ones(9, 1, 1, 1)), "heuristic", 0.0))
    assert set(other.points) == {("log_likelihood_parzen", "nats")} and subject.points == {}
