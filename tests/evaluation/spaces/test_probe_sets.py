"""What probes learn from, choose by and are judged on; and which counts are left out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dgmbench.data.labels import labelled_rows, labelled_validation_rows
from dgmbench.data.schema import image_schema
from dgmbench.data.views import view_of
from dgmbench.evaluation.registry import all_measures
from dgmbench.evaluation.spaces import probe_sets
from dgmbench.evaluation.spaces.knn_probe import knn_probes
from dgmbench.evaluation.spaces.linear_probe import probes
from dgmbench.evaluation.spaces.probe_sets import Probed, ProbeSet, chosen
from dgmbench.evaluation.spaces.svm_probe import svm_probes
from dgmbench.evaluation.subject import Subject
from dgmbench.settings import EvaluationSettings

SIZES = {"train": 200, "valid": 60, "test": 90}
CLASSES, SEED, DATA_SEED = 4, 11, 2


class Data:
    """Images of one number each, ten times their class and a little more."""

    schema = image_schema((1, 1, 2), 64, CLASSES)

    def labels(self, split: str) -> np.ndarray:
        return np.random.default_rng(len(split)).permutation(np.arange(SIZES[split]) % CLASSES)

    def images(self, split: str) -> np.ndarray:
        rng = np.random.default_rng(len(split))
        images = rng.integers(0, 5, (SIZES[split], 1, 1, 2))
        images[:, 0, 0, 0] += 10 * self.labels(split)
        return images.astype(np.uint8)


class Encoder(torch.nn.Module):
    """Features: the two pixels; it counts the images that it is given."""

    view = view_of("gray", Data.schema, continuous=False)
    seen = 0

    def encode(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return x.flatten(1).float()


def subject(labels: list[int], pool: int = 150, model: Any = None) -> Subject:
    info = {"dataset": "d", "view": "gray", "model": "m", "seed": SEED}
    run: Any = SimpleNamespace(model=model or Encoder(), info=info)
    data: Any = Data()
    settings = EvaluationSettings(store=None, probe_labels=labels, probe_pool=pool, batch_size=32)
    return Subject(data, settings, DATA_SEED, torch.device("cpu"), None, run=run)


def sets_of(labels: list[int], **others: Any) -> dict[int, ProbeSet]:
    found: Any = probe_sets._sets(subject(labels, **others), "probe")
    return dict(found)


def test_labels_are_those_of_the_runs_label_set() -> None:
    data, given = Data(), sets_of([8, 40, 120])
    pool = data.images("train")[:150].reshape(150, 2).astype(float)
    center, scale = pool.mean(0), pool.std(0)
    for count, sets in given.items():
        rows = labelled_rows(data.labels("train"), CLASSES, count, DATA_SEED, SEED)
        features, labels = sets.train
        assert np.array_equal(labels, data.labels("train")[rows])
        own = data.images("train")[rows].reshape(count, 2)
        np.testing.assert_allclose(features, (own - center) / scale, rtol=1e-6)
        judging = labelled_validation_rows(data.labels("valid"), CLASSES, min(count, 60), DATA_SEED)
        assert np.array_equal(sets.valid[1], data.labels("valid")[judging]), "or the largest balanced number"
        assert np.array_equal(sets.test[1], data.labels("test")) and len(sets.test[0]) == 90


def test_images_are_encoded_once_for_all_probes_and_counts() -> None:
    one = subject([8, 40])
    for measure in (probes, knn_probes, svm_probes):
        assert len(list(measure(one, Path()))) == 2
    assert one.run.model.seen == 150 + 90 + 40 + 40  # type: ignore[operator]
    all_known = subject([8, 40], pool=1000)
    assert len(list(probes(all_known, Path()))) == 2
    assert all_known.run.model.seen == 200 + 90 + 40  # type: ignore[operator]


def test_all_probes_give_errors_in_percent_and_keep_them_by_image() -> None:
    one = subject([8, 40])
    for measure, name in ((probes, "probe"), (knn_probes, "knn"), (svm_probes, "svm")):
        few, many = measure(one, Path())
        assert [few.metric, many.metric] == [f"{name}_error_8", f"{name}_error_40"]
        assert (many.unit, many.kind, many.n, many.split) == ("percent", "exact", 90, "test")
        assert many.value < 10.0
        points = one.points[many.metric, "percent"]
        assert points.values.mean() == pytest.approx(many.value) and set(points.values) <= {0.0, 100.0}
        assert many.std_error == pytest.approx(points.std_error)
    assert one.left_out == []


def test_counts_that_cannot_be_had_are_left_out_and_the_others_stay() -> None:
    one = subject([6, 40, 400])
    assert [record.metric for record in probes(one, Path())] == ["probe_error_40"]
    assert [(each.metric, each.model, each.seed) for each in one.left_out] == [
        ("probe_error_6", "m", SEED),
        ("probe_error_400", "m", SEED),
    ]
    assert one.left_out[0].reason.startswith("6 labels cannot be had: 4 classes cannot share them equally")
    assert one.left_out[1].reason.startswith("400 labels cannot be had: there are 200 training examples")


def test_every_model_with_features_that_saw_no_label_is_probed() -> None:
    classifier = SimpleNamespace(encode=len, predict=len)
    for measure in (probes, knn_probes, svm_probes):
        assert measure in all_measures()
        assert measure.applies_to(Data.schema, "gray", Encoder())
        assert not measure.applies_to(image_schema((1, 1, 2), 64), "gray", Encoder())
        assert not measure.applies_to(Data.schema, "gray", classifier)
        # One of the three says of a model without features that it has none.
        assert measure.applies_to(Data.schema, "gray", SimpleNamespace()) == (measure is probes)


def test_a_model_without_features_is_said_to_have_none() -> None:
    one = subject([8], model=SimpleNamespace())
    assert list(probes(one, Path())) == []
    assert [(each.metric, each.reason) for each in one.left_out] == [
        ("probes", "the model gives no features")
    ]


def test_features_that_are_not_finite_are_named() -> None:
    class Broken(Encoder):
        def encode(self, x: Tensor) -> Tensor:
            return x.flatten(1).float() / 0

    with pytest.raises(ValueError, match="pool: features hold NaN"):
        list(probes(subject([8], model=Broken()), Path()))


def test_standardised_by_the_pool_and_a_constant_becomes_zero() -> None:
    pool = np.array([[1.0, 7.0], [3.0, 7.0]])
    part = np.array([[2.0, 7.0], [4.0, 7.0]]), np.array([0, 1])
    sets = ProbeSet.standardised(pool, part, part, part)
    np.testing.assert_allclose(sets.train[0], [[0.0, 0.0], [2.0, 0.0]])
    with pytest.raises(ValueError, match="valid: features"):
        ProbeSet.standardised(pool, part, (pool[:1], part[1]), part)


def test_the_least_setting_with_the_least_validation_error_is_chosen_and_the_test_set_asked_once() -> None:
    asked: list[tuple[float, int]] = []

    def fit(setting: float) -> Any:
        def predict(features: np.ndarray) -> np.ndarray:
            asked.append((setting, len(features)))
            return np.zeros(len(features)) if setting > 1 else np.ones(len(features))

        return predict

    part = np.zeros((5, 1)), np.zeros(5)
    judged = np.zeros((7, 1)), np.zeros(7)
    found = chosen([3, 1, 2], fit, ProbeSet(part, part, judged))
    assert found == Probed(found.predictions, 2.0, 0.0) and asked == [(1, 5), (2, 5), (3, 5), (2, 7)]
    with pytest.raises(ValueError, match="empty"):
        chosen([], fit, ProbeSet(part, part, judged))
