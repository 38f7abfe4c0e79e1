"""The classifier of few labels: which images it sees, what it learns, and how it is judged."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.semisupervised.convnet import ConvNet, ConvNetSettings, _shifted
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Part
from dgmbench.training.outcome import How

SHAPE, CLASSES = (1, 8, 8), 4


def settings(**others: Any) -> ConvNetSettings:
    base = {"family": "convnet", "view": "gray", "channels": [4, 8], "hidden": 16}
    return ConvNetSettings.model_validate(base | others)


def make(**others: Any) -> ConvNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ConvNet(settings(**others), image_schema(SHAPE, 17, CLASSES))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quadrants(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Dim noise, brighter in the quadrant of the class."""
    noise = generator(seed)
    label = torch.randint(CLASSES, (n,), generator=noise)
    raw = torch.randint(6, (n, *SHAPE), generator=noise).to(torch.uint8)
    for i, y in enumerate(label.tolist()):
        raw[i, 0, 4 * (y // 2) : 4 * (y // 2) + 4, 4 * (y % 2) : 4 * (y % 2) + 4] += 8
    return raw, label


def test_it_learns_what_the_labels_say() -> None:
    budget = {"epochs": 30, "batch_size": 20, "learning_rate": 0.01}
    model, (raw, label), (held, truth) = make(), quadrants(80, 1), quadrants(200, 2)
    examples, how = Examples(Part(raw, label), Part(held, truth)), How(torch.device("cpu"), quiet=True)
    outcome = train(model, examples, settings(training=budget).training, 0, how)
    assert outcome.status == "completed"
    x = model.view.batch(held).x
    assert x.dtype == torch.int64, "levels, without noise"
    with torch.no_grad():
        probabilities = model.predict(x)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(200))
    assert float((probabilities.argmax(1) == truth).float().mean()) > 0.95


def test_unlabelled_images_are_refused() -> None:
    x = torch.ones(3, *SHAPE, dtype=torch.int64)
    for label in (None, torch.tensor([0, UNKNOWN, 1])):
        with pytest.raises(ValueError, match="labelled images alone"):
            make().step(Batch(x, label), "model", generator())
    with pytest.raises(SettingsError, match="needs a data set with labels"):
        ConvNet(settings(), image_schema(SHAPE, 17))
    with pytest.raises(SettingsError, match="too small"):
        ConvNet(settings(), image_schema((1, 3, 8), 17, CLASSES))


def test_an_epoch_may_end_with_one_image() -> None:
    losses = make().train().step(Batch(torch.rand(1, *SHAPE), torch.tensor([2])), "model", generator())
    assert torch.isfinite(losses["loss"])


def test_shifts_move_images_whole_and_by_so_many_pixels() -> None:
    x = torch.zeros(500, 1, 5, 5)
    x[:, 0, 2, 2] = 1.0
    moved = _shifted(x, 1, generator())
    places = moved.flatten(1).argmax(1)
    assert torch.equal(moved.flatten(1).sum(1), torch.ones(500))
    assert set(places.tolist()) == {5 * i + j for i in (1, 2, 3) for j in (1, 2, 3)}
    assert torch.equal(_shifted(x, 0, generator()), x)


@pytest.mark.parametrize(("labels", "name"), [(100, "ssl_error_100"), (None, "ssl_error_all")])
def test_the_test_error_is_counted(labels: int | None, name: str, tmp_path: Path) -> None:
    from dgmbench.evaluation.task.classification import classification

    truth = np.array([0, 1, 2, 3, 0])
    probabilities = torch.tensor([[0.7, 0.1, 0.1, 0.1]] * 5)
    model: Any = SimpleNamespace(predict=lambda x: probabilities[: len(x)], view=make().view)
    data: Any = SimpleNamespace(labels=lambda split: truth, schema=image_schema(SHAPE, 17, 4))
    assert classification.applies_to(data.schema, "gray", model)
    from dgmbench.evaluation.subject import Subject
    from dgmbench.settings import EvaluationSettings

    info = {"dataset": "d", "view": "gray", "model": "m", "seed": 0, "settings": {"labels": labels}}
    run: Any = SimpleNamespace(model=model, info=info)
    subject = Subject(run, data, EvaluationSettings(store=None), 0, torch.device("cpu"), None)
    subject.inputs = lambda split: torch.zeros(5, *SHAPE)  # type: ignore[method-assign,assignment,misc]
    error, entropy = classification(subject, tmp_path)
    assert (error.metric, error.unit, error.value, error.n) == (name, "percent", 60.0, 5)
    assert error.std_error == pytest.approx(100 * np.std([0, 1, 1, 1, 0], ddof=1) / 5**0.5)
    assert entropy.value == pytest.approx(-(2 * np.log(0.7) + 3 * np.log(0.1)) / 5, rel=1e-6)
