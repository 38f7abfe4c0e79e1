"""Instability: how runs are sorted, that a stopped control goes on, and what makes the outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from finding_checks import check, context, table, trace
from pydantic import ValidationError
from torch import Tensor

from dgmbench.controls.control import Context
from dgmbench.controls.gans.instability import GANInstability, GANInstabilitySettings
from dgmbench.controls.gans.trainings import SHOWN, Training
from dgmbench.data.dataset import Dataset
from dgmbench.errors import DgmbenchError
from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.models.adversarial.gan import GAN
from dgmbench.models.adversarial.objectives import OBJECTIVES
from dgmbench.training.trainer import Trainer

SMALL: dict[str, Any] = {"seeds": 2, "hidden": [8], "epochs": 1, "samples": 200, "latent_dims": [10],
                         "objectives": ["minimax", "non_saturating"]}  # fmt: skip


def control(**settings: Any) -> GANInstability:
    return GANInstability(GANInstabilitySettings.model_validate(SMALL | settings))


def test_every_objective_is_trained_from_every_seed(digits: Dataset, classifier: DomainClassifier) -> None:
    finding = control(objectives=list(OBJECTIVES)).run(context("gan_instability", digits, classifier))
    check(finding)
    values = table(finding)
    for objective in OBJECTIVES:
        assert len(values[objective, "training_succeeded"]) == 2
        rates = [values[objective, f"rate_{name}"][0]
                 for name in ("success", "poor", "classes_dropped", "collapsed", "diverged")]  # fmt: skip
        assert sum(rates) == pytest.approx(1)
        # One epoch is not enough for anything.
        assert rates[0] == 0 == sum(values[objective, "training_succeeded"])
        assert min(values[objective, "fid_domain"]) > values["ppca", "fid_domain"][0]
    assert not Path("checkpoints/digits/control-gan_instability").exists()


def test_without_labels_there_is_nothing_to_count(digits: Dataset) -> None:
    with pytest.raises(DgmbenchError, match="labels"):
        control().run(context("gan_instability", digits))


def test_real_images_succeed_and_what_they_lack_is_named(
    digits: Dataset, classifier: DomainClassifier
) -> None:
    one, about = control(), context("gan_instability", digits, classifier)
    images = about.raw("train", 500)
    labels = torch.from_numpy(digits.labels("train"))[:500]
    reference = one._reference(about)
    assert one._score(about, "minimax", images, "completed", reference, 0.0).outcome == "success"
    assert one._score(about, "minimax", images, "collapsed", reference, 0.0).outcome == "collapsed"
    few = one._score(about, "minimax", images[labels < 2], "completed", reference, 0.0)
    assert few.outcome == "classes dropped"
    assert few.coverage is not None and few.coverage < 0.8
    assert one._score(about, "minimax", 16 - images, "completed", 1.0, 0.0).outcome in (
        "poor",
        "classes dropped",
    )


def test_parameters_that_are_not_finite_are_told_from_a_poor_generator(
    digits: Dataset, classifier: DomainClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = GAN.step

    def exploding(self: GAN, x: Tensor, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        losses = original(self, x, phase, generator)
        return losses | {"loss": losses["loss"] * (float("nan") if self.objective == "minimax" else 1.0)}

    monkeypatch.setattr(GAN, "step", exploding)
    finding = control().run(context("gan_instability", digits, classifier))
    check(finding)
    values = table(finding)
    assert values["minimax", "rate_diverged"] == [1.0]
    assert ("minimax", "fid_domain") not in values
    assert values["non_saturating", "rate_diverged"] == [0.0]
    assert "2 diverged" in finding.sentence


class Killed(BaseException):
    """Stands in for a signal."""


def test_a_stopped_control_goes_on_where_it_was(
    digits: Dataset, classifier: DomainClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = context("gan_instability", digits, classifier)
    expected = trace(control().run(about))
    original, steps = Trainer._step, 0

    def dying(self: Trainer, chosen: Tensor) -> dict[str, Tensor]:
        nonlocal steps
        steps += 1
        if steps == 50:
            raise Killed
        return original(self, chosen)

    monkeypatch.setattr(Trainer, "_step", dying)
    with pytest.raises(Killed):
        control().run(about)
    assert len(list(Path("checkpoints/digits/control-gan_instability").glob("*.ckpt"))) == 2
    first = steps
    assert trace(control().run(context("gan_instability", digits, classifier))) == expected
    # Four trainings of 19 steps, two of which were done.
    assert steps - first == 2 * 19


class Fabricated(GANInstability):
    """Runs that end as given."""

    ends: dict[str, list[str]]

    def _train(self, context: Context, images: Any, objective: str, seed: int, *rest: Any) -> Training:  # type: ignore[override]
        outcome = self.ends[objective][seed]
        return Training(outcome, 5.0 + seed, 9.0, 1.0, torch.zeros(3, 1, 8, 8, dtype=torch.uint8), 0.0)


@pytest.mark.parametrize(
    ("rival", "wasserstein", "outcome"),
    [
        (3, 10, "supported"),
        (10, 0, "contradicted"),
        (5, 6, "undecided"),
        # Nothing differs from seed to seed: that is not what is claimed, whichever objective is better.
        (0, 10, "undecided"),
        (10, 10, "undecided"),
    ],
)
def test_outcome_follows_from_the_counts(
    rival: int, wasserstein: int, outcome: str, digits: Dataset, classifier: DomainClassifier
) -> None:
    pair = ["non_saturating", "wasserstein_gp"]
    one = Fabricated(
        GANInstabilitySettings.model_validate(SMALL | {"seeds": 10, "first_seed": 0, "objectives": pair})
    )
    one.ends = {
        name: ["success"] * count + ["collapsed"] * (10 - count)
        for name, count in zip(pair, (rival, wasserstein), strict=True)
    }
    finding = one.run(context("gan_instability", digits, classifier))
    check(finding)
    assert finding.outcome == outcome
    assert f"non-saturating {rival} (95 %" in finding.sentence
    assert len(finding.sheets[0].images) == 2 * SHOWN


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"seeds": 1}, {"objectives": ["minimax"]}, {"objectives": ["fool", "minimax"]}):
        with pytest.raises(ValidationError):
            control(**wrong)
