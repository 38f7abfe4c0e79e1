"""Collapse: samples that became alike, a flat loss, a saturated discriminator."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from games import make, run
from torch import nn

from dgmbench.models.hooks import NoticesCollapse


def curves(ratio: float, signal: float, looks: int) -> dict[str, list[float]]:
    return {
        "valid/sample_variance": [0.1] * 5 + [0.1 * ratio] * looks,
        "valid/image_variance": [0.1] * (5 + looks),
        "train/generator_signal": [0.5] * 5 + [signal] * looks,
    }


def test_collapse_is_told_once_it_lasts() -> None:
    model = make(patience=3)
    assert isinstance(model, NoticesCollapse)
    assert model.collapse(curves(0.9, 0.5, 10)) is None
    assert model.collapse(curves(0.01, 0.5, 2)) is None
    assert model.collapse(curves(0.01, 0.5, 3)) == "samples varied 0.01 times as much as images"
    assert "flat" in str(model.collapse(curves(0.9, 1e-5, 3)))
    assert model.collapse({}) is None


def test_samples_that_are_still_alike_at_the_start_have_not_collapsed() -> None:
    """An untrained generator draws hardly anything but gray."""
    model = make(patience=3, training={"epochs": 9})

    def ratios(*values: float) -> dict[str, list[float]]:
        return {"valid/sample_variance": list(values), "valid/image_variance": [1.0] * len(values)}

    assert model.collapse(ratios(0.02, 0.02, 0.03, 0.04)) is None
    assert model.collapse(ratios(0.02, 0.02, 0.03, 0.04, 0.3, 0.9)) is None
    told = "samples varied 0.01 times as much as images"
    assert model.collapse(ratios(0.02, 0.3, 0.01, 0.01)) is None
    assert model.collapse(ratios(0.02, 0.3, 0.01, 0.01, 0.01)) == told
    # Never begun, at the end of the training.
    assert model.collapse(ratios(*[0.01] * 8)) is None and model.collapse(ratios(*[0.01] * 9)) == told


def test_a_generator_that_draws_one_image_is_found_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(patience=2)
    constant = nn.Linear(4, 64)
    with torch.no_grad():
        constant.weight.zero_()
    model.generator = nn.Sequential(constant)
    monkeypatch.setattr(model, "rate_of", lambda phase: 1e-12)
    outcome = run(model)
    assert outcome.status == "collapsed"
    assert outcome.reason is not None and outcome.reason.endswith("in epoch 4")


def test_a_saturated_discriminator_is_told_but_not_of_wasserstein() -> None:
    sure = {"train/discriminator_accuracy": [0.8, *[0.9999] * 3]}
    long: dict[str, Any] = {"training": {"epochs": 9}, "most_accuracy": 0.9995}
    assert "saturated" in str(make(patience=3, **long).collapse(sure))
    assert make(patience=4, **long).collapse(sure) is None
    assert make(patience=3, objective="wasserstein_gp", **long).collapse(sure) is None
    assert make(patience=3, training={"epochs": 9}).collapse(sure) is None, "by itself it is no failure"


def test_a_short_training_can_collapse_too() -> None:
    model = make(patience=10, training={"epochs": 4, "validate_every": 2})
    assert "samples varied" in str(model.collapse(curves(0.01, 0.5, 2)))
    assert "flat" in str(model.collapse(curves(0.9, 1e-5, 4)))


def test_a_generator_that_never_moved_is_a_failure() -> None:
    model = make(discriminator_steps=1000, least_variance=0.0, training={"epochs": 3, "validate_every": 1})
    outcome = run(model)
    assert outcome.status == "collapsed"
    assert "never moved" in str(outcome.reason)
