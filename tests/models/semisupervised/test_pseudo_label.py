"""Pseudo-label: the schedule of eq. 16, the loss of eq. 15 by hand, and what unlabelled images are worth."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.data.schema import image_schema
from dgmbench.models.hooks import UsesTrainingSizes
from dgmbench.models.semisupervised.pseudo_label import PseudoLabel, PseudoLabelSettings
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Labelled, Part
from dgmbench.training.outcome import How

SHAPE, LEVELS = (1, 2, 1), 101


def settings(**others: Any) -> PseudoLabelSettings:
    base: dict[str, Any] = {"family": "pseudo_label", "view": "gray", "hidden": [8], "ramp": [2, 6]}
    return PseudoLabelSettings.model_validate(base | others)


def make(**others: Any) -> PseudoLabel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PseudoLabel(settings(**others), image_schema(SHAPE, LEVELS, 2))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_alpha_rises_in_a_straight_line() -> None:
    model = make()
    assert [model.alpha(t) for t in range(8)] == [0, 0, 0, 0.75, 1.5, 2.25, 3.0, 3.0]
    lee = make(ramp=[100, 600])
    assert [lee.alpha(t) for t in (0, 100, 225, 350, 600, 10**6)] == [0, 0, 0.75, 1.5, 3.0, 3.0]
    assert PseudoLabelSettings.model_validate({"family": "x", "view": "gray"}).ramp == (100, 600)
    assert [make(ramp=[3, 3], weight=1.0).alpha(t) for t in (2, 3)] == [0.0, 1.0]
    with pytest.raises(ValidationError, match="should ascend"):
        settings(ramp=[6, 2])
    with pytest.raises(ValidationError, match=r"alpha is 0 before epoch 50, and the training has 50"):
        settings(ramp=[50, 60], training={"epochs": 50})


def test_epochs_are_passes_over_the_pool() -> None:
    model = make(training={"batch_size": 30}, dropout=0.0)
    assert isinstance(model, UsesTrainingSizes)
    model.use_training_sizes(100, 10)
    weights = []
    for _ in range(28):
        losses = model.step(batch(), "model", generator())
        weights.append(
            float((losses["loss"].detach() - losses["labelled"]) / losses["pseudo"].clamp_min(1e-9))
        )
        model.after_step("model")
    expected = [model.alpha(step // 4) for step in range(28)]
    assert weights == pytest.approx(expected, abs=1e-4)


def batch() -> Batch:
    x = torch.randint(LEVELS, (12, *SHAPE), generator=generator(5))
    label = torch.tensor([UNKNOWN] * 8 + [0, 1, 1, 0])
    return Batch(x, label)


def test_the_loss_is_eq_15() -> None:
    model = make(dropout=0.0)
    model.steps.fill_(4)
    given = batch()
    assert given.label is not None
    with torch.no_grad():
        logits = model.logits(given.x)
        log_p = logits.log_softmax(1)
        labelled = -log_p[torch.arange(8, 12), given.label[8:]].mean()
        pseudo = -log_p[:8].max(1).values.mean()
        found = model.step(given, "model", generator())
    torch.testing.assert_close(found["loss"], labelled + 1.5 * pseudo)
    torch.testing.assert_close(found["labelled"], labelled)
    torch.testing.assert_close(found["pseudo"], pseudo)
    wrong = (logits[8:].argmax(1) != given.label[8:]).float().mean()
    torch.testing.assert_close(found["error"], 100 * wrong)


def test_guesses_are_made_without_dropout_and_carry_no_gradient() -> None:
    model = make(dropout=0.5, hidden=[64])
    model.steps.fill_(100)
    x = batch().unlabelled().x
    draws = generator(3)
    found = model._pseudo_loss(x, draws)
    guess = model.logits(x).argmax(1)
    expected = F.cross_entropy(model.body(model.flat(x), generator(3)), guess)
    torch.testing.assert_close(found, expected)


def stripes(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two long stripes side by side: one labelled image each does not say where the border is."""
    noise = generator(seed)
    label = torch.arange(n) % 2
    along = torch.rand(n, generator=noise)
    across = 0.4 + 0.2 * label + 0.04 * torch.randn(n, generator=noise)
    raw = torch.stack([along, across], 1).clamp(0, 1) * (LEVELS - 1)
    return raw.round().to(torch.uint8).reshape(n, *SHAPE), label


def error(weight: float) -> float:
    budget = {"epochs": 60, "batch_size": 100, "learning_rate": 0.01, "select": "last"}
    model = make(weight=weight, hidden=[64], dropout=0.0, ramp=[20, 40], training=budget)
    (raw, label), (held, truth) = stripes(400, 1), stripes(200, 2)
    few = torch.tensor([0, 1, 2, 3])
    pool = Part(raw, torch.full_like(label, UNKNOWN))
    examples = Examples(pool, Part(held, truth), labelled=Labelled(Part(raw[few], label[few]), 4))
    outcome = train(
        model, examples, settings(training=budget).training, 0, How(torch.device("cpu"), quiet=True)
    )
    assert outcome.status == "completed"
    with torch.no_grad():
        guess = model.predict(model.view.batch(held).x).argmax(1)
    return 100 * float((guess != truth).float().mean())


def test_unlabelled_images_help_where_classes_lie_apart() -> None:
    assert error(1.0) < 1.0 < error(0.0)
