"""Classifiers of a few labels and nothing else, against answers known from elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.parts.votes import votes
from dgmbench.models.registry import family_class
from dgmbench.models.semisupervised.classifier import ImageClassifier
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Part
from dgmbench.training.outcome import How

SHAPE, LEVELS, CLASSES = (1, 4, 4), 17, 3
DIMS = 16


def make(family: str, classes: int | None = CLASSES, **others: Any) -> ImageClassifier:
    kind = family_class(family)
    settings = kind.Settings.model_validate({"family": family, "view": "gray"} | others)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(settings, image_schema(SHAPE, LEVELS, classes))
    assert isinstance(model, ImageClassifier)
    return model


def images(n: int, seed: int, classes: int = CLASSES) -> Batch:
    """Levels that are higher in a third of the pixels, by class, with much noise."""
    noise = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % classes
    x = torch.randint(12, (n, DIMS), generator=noise)
    for i, y in enumerate(label.tolist()):
        x[i, 5 * y : 5 * y + 5] += torch.randint(5, (5,), generator=noise)
    return Batch(x.reshape(n, *SHAPE), label)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(batch: Batch) -> np.ndarray:
    return (batch.x.flatten(1).double() / (LEVELS - 1)).numpy()


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_is_scikit_learns(classes: int) -> None:
    known, valid, test = (images(n, seed, classes) for n, seed in ((30, 1), (60, 2), (40, 3)))
    assert known.label is not None and valid.label is not None
    grid = [0.01, 0.3, 10.0]
    own = {c: LogisticRegression(C=c, max_iter=5000).fit(flat(known), known.label.numpy()) for c in grid}
    errors = {c: 100 * np.mean(m.predict(flat(valid)) != valid.label.numpy()) for c, m in own.items()}
    least = [c for c in grid if errors[c] == min(errors.values())]
    entropy = {c: -np.log(own[c].predict_proba(flat(valid))[range(60), valid.label]).mean() for c in least}
    best = min(least, key=lambda c: entropy[c])
    model = make("logistic", classes, strengths=grid[::-1])
    losses: Any = model.fit(known, valid, generator())  # type: ignore[operator]
    assert losses["C"] == best and losses["error"] == pytest.approx(errors[best], abs=1e-4)
    assert losses["loss"] == pytest.approx(entropy[best], rel=1e-9)
    np.testing.assert_allclose(model.predict(test.x), own[best].predict_proba(flat(test)), atol=1e-9)
    assert model.parameter_count() == classes * (DIMS + 1)


def test_a_class_that_is_nowhere_has_no_probability() -> None:
    known, four = images(30, 1), make("logistic", 4)
    four.fit(known, images(30, 2), generator())  # type: ignore[operator]
    probabilities = four.predict(known.x)
    assert probabilities.shape == (30, 4) and float(probabilities[:, 3].max()) == 0.0


def neighbours_by_hand(known: Batch, x: Tensor, k: int) -> Tensor:
    """The class of most votes among the k nearest, the nearest one's of those with equally many."""
    assert known.label is not None
    answers = []
    for image in x:
        distances = [(float((image - other).double().square().sum()), i) for i, other in enumerate(known.x)]
        near = [int(known.label[i]) for _, i in sorted(distances)[:k]]
        most = max(near.count(y) for y in near)
        answers.append(next(y for y in near if near.count(y) == most))
    return torch.tensor(answers)


def test_nearest_neighbours_are_those_found_by_hand() -> None:
    known, valid, test = images(40, 1), images(50, 2), images(100, 3)
    assert valid.label is not None
    errors = {
        k: 100 * float((neighbours_by_hand(known, valid.x, k) != valid.label).float().mean())
        for k in (1, 2, 4, 9)
    }
    model = make("nearest_neighbour", neighbours=[9, 4, 1, 2, 41])
    losses: Any = model.fit(known, valid, generator())  # type: ignore[operator]
    best = int(losses["neighbours"])
    assert losses["error"] == pytest.approx(min(errors.values()), abs=1e-4)
    assert best == min(k for k in errors if errors[k] == min(errors.values()))
    for k in (1, 2, 4, 9):
        model.neighbours.fill_(k)  # type: ignore[union-attr, operator]
        probabilities = model.predict(test.x)
        assert torch.equal(probabilities.argmax(1), neighbours_by_hand(known, test.x, k)), k
        torch.testing.assert_close(probabilities.sum(1), torch.ones(100, dtype=torch.float64))
        assert float(probabilities.min()) > 0


def test_votes_are_shares() -> None:
    found = votes(torch.tensor([[0, 2, 2, 0, 2], [1, 1, 0, 2, 2]]), 3)
    expected = (torch.tensor([[2, 0, 3], [1, 2, 2]]) + 1 / 3) / 6
    torch.testing.assert_close(found, expected.double(), atol=2e-4, rtol=0)
    assert found.argmax(1).tolist() == [2, 1]


def test_stored_neighbours_load_into_a_new_model() -> None:
    first, second = make("nearest_neighbour"), make("nearest_neighbour")
    with pytest.raises(ValueError, match="no neighbours"):
        second.predict(images(2, 0).x)
    first.fit(images(30, 1), images(30, 2), generator())  # type: ignore[operator]
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.predict(images(9, 3).x), second.predict(images(9, 3).x))
    with pytest.raises(SettingsError, match="300 levels do not fit"):
        family_class("nearest_neighbour")(first_settings(), image_schema(SHAPE, 300, 3))


def first_settings() -> Any:
    return family_class("nearest_neighbour").Settings.model_validate(
        {"family": "nearest_neighbour", "view": "gray"}
    )


@pytest.mark.parametrize("family", ["logistic", "nearest_neighbour", "mlp", "convnet"])
@pytest.mark.parametrize("view", ["gray", "binary"])
def test_each_learns_what_the_labels_say(family: str, view: str) -> None:
    small: dict[str, Any] = {"mlp": {"hidden": [32]}, "convnet": {"channels": [8, 8], "hidden": 16}}
    budget = {"epochs": 40, "batch_size": 20, "learning_rate": 0.01}
    model = make(family, view=view, training=budget, **small.get(family, {}))
    parts = []
    for n, seed in ((90, 1), (60, 2), (150, 3)):
        batch = images(n, seed)
        assert batch.label is not None
        mine = torch.arange(DIMS) // 5 == batch.label[:, None]
        clear = torch.where(mine, 8 + batch.x.flatten(1) // 2, batch.x.flatten(1) // 3).clamp_max(16)
        parts.append(Part(clear.reshape(n, *SHAPE).to(torch.uint8), batch.label))
    settings = model.Settings.model_validate({"family": family, "view": view, "training": budget})
    how = How(torch.device("cpu"), quiet=True)
    outcome = train(model, Examples(parts[0], parts[1]), settings.training, 0, how)
    assert outcome.status == "completed"
    test = parts[2].batch(model.view, generator(1))
    with torch.no_grad():
        probabilities = model.predict(test.x)
    torch.testing.assert_close(probabilities.sum(1).double(), torch.ones(150).double())
    wrong = float((probabilities.argmax(1) != test.label).float().mean())
    assert wrong < (0.02 if view == "gray" else 0.3), "chance is 0.67"


def test_the_mlp_drops_units_in_training_alone() -> None:
    model: Any = make("mlp", hidden=[64], dropout=0.5, input_dropout=0.2)
    batch = images(30, 1)
    losses = [model.train().step(batch, "model", generator(seed)) for seed in (0, 0, 1)]
    assert losses[0]["loss"] == losses[1]["loss"] != losses[2]["loss"]
    held = model.validation_losses(batch, generator())
    torch.testing.assert_close(held["loss"], F.cross_entropy(model.logits(batch.x), batch.label))
    plain: Any = make("mlp", hidden=[64], dropout=0.0)
    torch.testing.assert_close(
        plain.step(batch, "model", generator())["loss"],
        plain.validation_losses(batch, generator())["loss"],
    )
    assert model.encode(batch.x).shape == (30, 64)


def test_dropout_keeps_the_mean() -> None:
    from dgmbench.models.semisupervised.classifier import dropped

    values = dropped(torch.ones(200, 200), 0.3, generator())
    assert values.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert float(values.mean()) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("family", ["logistic", "nearest_neighbour", "mlp", "pseudo_label"])
def test_each_needs_classes_and_labels(family: str) -> None:
    with pytest.raises(SettingsError, match="needs a data set with labels"):
        make(family, None)
    unlabelled = Batch(images(6, 1).x, torch.tensor([0, 1, 2, UNKNOWN, 1, 2]))
    if family in ("logistic", "nearest_neighbour"):
        with pytest.raises(ValueError, match="labelled images alone"):
            make(family).fit(unlabelled, images(6, 2), generator())  # type: ignore[operator]
