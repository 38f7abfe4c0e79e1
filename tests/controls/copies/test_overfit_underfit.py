"""Overfit and underfit: what the models may know, what each score says, and what makes the outcome."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from finding_checks import check, context, table, trace
from pydantic import ValidationError
from torch import Tensor

from dgmbench.controls.copies.overfit_underfit import (
    METRICS,
    OverfitUnderfit,
    OverfitUnderfitSettings,
    _Halves,
)
from dgmbench.data.dataset import Dataset
from dgmbench.errors import DgmbenchError
from dgmbench.evaluation.features.classifier import DomainClassifier

SMALL: dict[str, Any] = {"repetitions": 2, "epochs": 30, "hidden": [16]}


def control(**settings: Any) -> OverfitUnderfit:
    return OverfitUnderfit(OverfitUnderfitSettings.model_validate(SMALL | settings))


def test_the_known_images_lack_a_class_and_the_halves_share_nothing(
    digits: Dataset, classifier: DomainClassifier
) -> None:
    about = context("overfit_underfit", digits, classifier)
    found = [control()._halves(about, repetition) for repetition in range(3)]
    assert len({halves.known.numpy().tobytes() for halves in found}) == 3
    train_images, labels = about.raw("train"), digits.labels("train")
    for halves in found:
        assert len(halves.known) == 100 and len(halves.unseen) == len(halves.reference) == 150
        by_bytes = {image.numpy().tobytes(): label for image, label in zip(train_images, labels, strict=True)}
        assert halves.dropped not in {by_bytes[image.numpy().tobytes()] for image in halves.known}
        sides = [{image.numpy().tobytes() for image in side} for side in (halves.unseen, halves.reference)]
        assert not sides[0] & sides[1]


def test_repeated_images_are_a_level_away_at_most(digits: Dataset, classifier: DomainClassifier) -> None:
    one, about = control(), context("overfit_underfit", digits, classifier)
    halves = one._halves(about, 0)
    drawn = one._repeat(about, halves, 0).long()
    gaps = (drawn[:, None] - halves.known.long()[None]).abs().flatten(2).amax(2).amin(1)
    assert drawn.shape == (150, 1, 8, 8) and int(gaps.max()) == 1


def test_the_claim_is_borne_out_on_digits(digits: Dataset, classifier: DomainClassifier) -> None:
    finding = control(repetitions=5, epochs=1).run(context("overfit_underfit", digits, classifier))
    check(finding)
    assert finding.outcome == "supported"
    values = table(finding)
    assert {metric for _, metric in values} == set(METRICS)
    assert max(values["memorised", "nn_distance_ratio"]) < 0.8 < min(values["unseen", "nn_distance_ratio"])
    assert max(values["memorised", "effective_classes"]) < 9.5
    assert len(finding.sheets) == 3


def test_a_model_that_knows_all_and_forgets_nothing_is_not_accused(
    digits: Dataset, classifier: DomainClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unseen(self: OverfitUnderfit, about: Any, halves: _Halves, repetition: int) -> Tensor:
        return halves.unseen

    monkeypatch.setattr(OverfitUnderfit, "_repeat", unseen)
    finding = control(epochs=1).run(context("overfit_underfit", digits, classifier))
    assert finding.outcome == "contradicted"


def test_the_same_seed_gives_the_same_bytes(digits: Dataset, classifier: DomainClassifier) -> None:
    first, again, other = (
        trace(control(epochs=2).run(context("overfit_underfit", digits, classifier, seed)))
        for seed in (0, 0, 1)
    )
    assert first == again and first != other


def test_it_needs_labels_and_two_repetitions(digits: Dataset) -> None:
    with pytest.raises(DgmbenchError, match="labels"):
        control().run(context("overfit_underfit", digits))
    for wrong in ({"repetitions": 1}, {"known": 10}, {"epochs": 0}):
        with pytest.raises(ValidationError):
            control(**wrong)
    assert torch.is_grad_enabled()
