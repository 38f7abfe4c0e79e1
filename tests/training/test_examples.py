"""What a model sees of labels in training and validation, and the batches of those that see some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from killing import killed_at
from torch import Tensor, nn

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.data.labels import labelled_rows, labelled_validation_rows
from dgmbench.data.schema import Schema, image_schema
from dgmbench.errors import LabelsError
from dgmbench.models.semisupervised.classifier import ImageClassifier
from dgmbench.models.semisupervised.settings import LabelledSettings, PartialSettings
from dgmbench.settings.budget import TrainingBudget
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, examples_by_set
from dgmbench.training.labelled_cycle import LabelledCycle
from dgmbench.training.outcome import How, Outcome
from dgmbench.training.seeding import generator_for, initialising

CLASSES, CPU = 4, torch.device("cpu")
SIZES = {"train": 60, "valid": 24}


class Data:
    """Images whose first two pixels are their number and whose third is their label."""

    name = "numbered"
    schema = image_schema((1, 2, 2), 64, CLASSES)
    views = ("gray", "binary")

    def __init__(self, labels: bool = True) -> None:
        self.labelled = labels

    def examples(self, split: str) -> np.ndarray:
        images = np.zeros((SIZES[split], 1, 2, 2), dtype=np.uint8)
        images[:, 0, 0, 0] = np.arange(SIZES[split])
        images[:, 0, 1, 0] = self._labels(split)
        return images

    def binary(self, split: str) -> np.ndarray:
        return (self.examples(split) > 0).astype(np.uint8)

    def labels(self, split: str) -> np.ndarray | None:
        return self._labels(split) if self.labelled else None

    def _labels(self, split: str) -> np.ndarray:
        return np.random.default_rng(1).permutation(np.arange(SIZES[split]) % CLASSES)


def settings(**others: Any) -> PartialSettings:
    base = {"family": "x", "view": "gray", "labels": 8, "labelled_batch": 5}
    return PartialSettings.model_validate(base | others)


def examples(supervision: Any = "partial", label_set: int = 0, **others: Any) -> Examples:
    data: Any = Data()
    return examples_by_set(data, 0, CPU, settings(**others), supervision)(label_set)


def true_labels(raw: Tensor) -> Tensor:
    return raw[:, 0, 1, 0].long()


def test_models_without_supervision_see_no_label_and_conditions_are_all_known() -> None:
    none, condition = examples("none"), examples("condition")
    assert none.train.label is None and none.train.condition is None and none.valid.label is None
    assert condition.train.label is None and condition.train.condition is not None
    assert torch.equal(condition.train.condition, true_labels(condition.train.raw))
    assert none.labels == 0 and none.labelled is None


def test_labelled_models_see_the_label_set_of_their_seed_alone() -> None:
    for label_set in (0, 7):
        seen = examples("labelled", label_set)
        rows = labelled_rows(np.asarray(Data().labels("train")), CLASSES, 8, 0, label_set)
        assert seen.train.raw[:, 0, 0, 0].tolist() == rows.tolist()
        assert seen.train.label is not None and torch.equal(seen.train.label, true_labels(seen.train.raw))
    assert len(examples("labelled", labels=None).train) == 60
    assert examples("labelled").labels == 8


def test_a_model_whose_steps_read_no_labels_has_no_labelled_batch() -> None:
    data: Any = Data()
    given = LabelledSettings.model_validate({"family": "recorder", "view": "gray", "labels": 8})
    seen = examples_by_set(data, 0, CPU, given, "partial")(0)
    assert seen.labelled is not None and (len(seen.labelled.part), seen.labelled.batch) == (8, 0)


def test_all_labels_need_an_example_of_every_class() -> None:
    data: Any = Data()
    data.schema = image_schema((1, 2, 2), 64, CLASSES + 1)
    with pytest.raises(LabelsError, match=f"class {CLASSES} has none of the 60 training examples"):
        examples_by_set(data, 0, CPU, settings(labels=None), "labelled")(0)


def test_the_pool_holds_every_image_with_its_label_hidden() -> None:
    seen = examples()
    assert len(seen.train) == 60 and seen.labels == 8 and seen.labelled is not None
    assert seen.train.label is not None and bool((seen.train.label == UNKNOWN).all())
    labelled = seen.labelled.part
    assert labelled.label is not None and torch.equal(labelled.label, true_labels(labelled.raw))
    assert torch.bincount(labelled.label).tolist() == [2] * CLASSES


@pytest.mark.parametrize("supervision", ["labelled", "partial"])
@pytest.mark.parametrize("view", ["gray", "binary"])
def test_validation_holds_the_labelled_images_only(supervision: Any, view: Any) -> None:
    seen = examples(supervision, valid_labels=12)
    rows = labelled_validation_rows(np.asarray(Data().labels("valid")), CLASSES, 12, 0)
    assert seen.valid.raw[:, 0, 0, 0].tolist() == rows.tolist()
    from dgmbench.data.views import view_of

    batch = seen.validation(view_of(view, image_schema((1, 2, 2), 64), continuous=False))
    assert len(batch) == 12 and batch.label is not None
    assert torch.bincount(batch.label).tolist() == [3] * CLASSES
    assert torch.equal(batch.label, true_labels(seen.valid.raw))
    assert len(examples(supervision).valid) == 24


def test_labels_that_the_data_have_not() -> None:
    data: Any = Data(labels=False)
    for supervision in ("labelled", "partial", "condition"):
        kind: Any = supervision
        with pytest.raises(LabelsError, match="numbered has no labels"):
            examples_by_set(data, 0, CPU, settings(), kind)(0)
    with pytest.raises(LabelsError, match="6 labels cannot be had: 4 classes cannot share them equally"):
        examples(labels=6)
    with pytest.raises(LabelsError, match="28 labels cannot be had: there are 24 validation examples"):
        examples(valid_labels=28)


@pytest.mark.parametrize("size", [1, 3, 7, 8, 20])
def test_a_cycle_goes_through_all_before_it_repeats_one(size: int) -> None:
    cycle, steps = LabelledCycle(7, size, 3), 7 * 4
    drawn = torch.cat([cycle.rows(step) for step in range(steps)]).reshape(-1, 7)
    assert torch.equal(drawn.sort(1).values, torch.arange(7).expand(len(drawn), 7))
    assert len({tuple(part.tolist()) for part in drawn}) > 1, "passes are shuffled"
    # Without state: a step alone gives the same.
    assert all(torch.equal(LabelledCycle(7, size, 3).rows(step), cycle.rows(step)) for step in (0, 11, 5))
    assert len(cycle.rows(2)) == size


class Recorder(ImageClassifier):
    """A linear classifier with noise, which keeps the batches that it is given."""

    Settings = LabelledSettings
    supervision = "partial"

    def __init__(self, settings: Any, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.linear = nn.Linear(4, self.classes)
        self.register_buffer("sizes", torch.zeros(2, dtype=torch.int64))
        self.batches: list[Batch] = []

    def use_training_sizes(self, pool: int, labelled: int) -> None:
        self.sizes.copy_(torch.tensor([pool, labelled]))

    def logits(self, x: Tensor) -> Tensor:
        return self.linear(self.intensities(x).flatten(1))

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        self.batches.append(batch)
        known = batch.labelled()
        noise = torch.rand(known.x.shape, generator=generator)
        logits = self.linear((self.intensities(known.x) + noise).flatten(1))
        spread = self.linear(self.intensities(batch.unlabelled().x).flatten(1)).square().mean()
        return {"loss": nn.functional.cross_entropy(logits, known.label) + spread}


BUDGET = TrainingBudget(epochs=3, batch_size=25, learning_rate=0.05)


def trained(label_set: int = 0, checkpoint: Path | None = None, **others: Any) -> tuple[Recorder, Outcome]:
    with initialising("test", 0):
        model = Recorder(settings(**others), image_schema((1, 2, 2), 64, CLASSES))
    how = How(CPU, checkpoint=checkpoint, checkpoint_seconds=0.0, fingerprint="x", quiet=True)
    return model, train(model, examples(label_set=label_set, **others), BUDGET, label_set, how)


def test_a_step_sees_unlabelled_images_of_the_pool_and_then_labelled_ones() -> None:
    model, outcome = trained()
    assert outcome.status == "completed" and model.sizes.tolist() == [60, 8]
    assert [len(batch) for batch in model.batches] == [30, 30, 15] * 3
    labelled = set(labelled_rows(np.asarray(Data().labels("train")), CLASSES, 8, 0, 0).tolist())
    for epoch in range(3):
        pool = []
        for batch in model.batches[3 * epoch : 3 * epoch + 3]:
            assert batch.label is not None
            assert bool((batch.label[:-5] == UNKNOWN).all())
            known = batch.labelled()
            assert torch.equal(known.x, batch.x[-5:]) and torch.equal(batch.unlabelled().x, batch.x[:-5])
            # An image keeps its label throughout.
            assert torch.equal(known.label, true_labels(known.x))
            assert set(known.x[:, 0, 0, 0].tolist()) <= labelled
            pool += batch.unlabelled().x[:, 0, 0, 0].tolist()
        assert sorted(pool) == list(range(60)), "labelled images are in the pool as well"
    seen = torch.cat([batch.labelled().x[:, 0, 0, 0] for batch in model.batches])[:40].reshape(5, 8)
    assert all(set(part) == labelled for part in seen.tolist())


@pytest.mark.parametrize("moments", [(1,), (4, 5), (2, 8)])
def test_resumed_in_the_middle_of_a_pass_it_ends_the_same(moments: tuple[int, ...], tmp_path: Path) -> None:
    whole, expected = trained()
    for moment in moments:
        with killed_at(moment):
            trained(checkpoint=tmp_path / "c")
    resumed, outcome = trained(checkpoint=tmp_path / "c")
    assert outcome.history == expected.history
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_the_epoch_with_the_least_error_on_labelled_validation_images_is_kept() -> None:
    model, outcome = trained(valid_labels=8)
    errors = [value for _, _, split, name, value in outcome.history if (split, name) == ("valid", "error")]
    assert outcome.selected_step == 3 * (1 + errors.index(min(errors)))
    names = {name for _, _, split, name, _ in outcome.history if split == "valid"}
    assert names == {"loss", "error"}
    batch = examples(valid_labels=8).validation(model.view)
    found = model.validation_losses(batch, generator_for("x"))
    assert float(found["error"]) == pytest.approx(min(errors))


def test_a_closed_form_sees_the_pool_and_then_the_labelled_images() -> None:
    seen = examples()
    whole = seen.whole(Recorder(settings(), image_schema((1, 2, 2), 64, CLASSES)).view, generator_for("x"))
    assert len(whole) == 68 and len(whole.labelled()) == 8 and len(whole.unlabelled()) == 60
    assert torch.equal(whole.labelled().x, whole.x[60:])


def test_a_batch_without_labels_is_unlabelled() -> None:
    batch = Batch(torch.zeros(3, 1))
    assert len(batch.labelled()) == 0 and len(batch.unlabelled()) == 3
