"""One training of a candidate, and its score on the validation images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dgmbench.data.views import intensity, to_levels
from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.evaluation.quality.frechet import fid
from dgmbench.models.base import GenerativeModel, ModelSettings
from dgmbench.models.capabilities import CanSample, ClosedForm, Finishes
from dgmbench.models.registry import family_class
from dgmbench.search.settings import Entry
from dgmbench.training.closed_form import train
from dgmbench.training.loading import build
from dgmbench.training.outcome import How, Images, Outcome, curves
from dgmbench.training.seeding import generator_for

# Shares of a training's length at which a poor trial may be stopped.
RUNGS = (0.25, 0.5)

Report = Callable[[int, float], None]


@dataclass(frozen=True)
class Ground:
    """What all candidates of an entry share: the images and the space that samples are scored in."""

    images: Images
    shape: tuple[int, int, int]
    objective: str
    samples: int
    classifier: DomainClassifier | None = None
    valid_features: Tensor | None = None

    @classmethod
    def of(
        cls,
        images: Images,
        shape: tuple[int, int, int],
        entry: Entry,
        samples: int,
        classifier: DomainClassifier | None,
    ) -> Ground:
        """The ground of an entry; a domain FID needs the classifier of gray images."""
        if entry.objective == "loss":
            return cls(images, shape, entry.objective, samples)
        assert classifier is not None
        valid = classifier.features(intensity(images.valid, images.levels))
        return cls(images, shape, entry.objective, samples, classifier, valid)

    def distance(self, model: CanSample, levels: int, domain: Any, seed: int) -> float:
        """Domain FID of freshly drawn samples to the validation images."""
        assert self.classifier is not None
        assert self.valid_features is not None
        with torch.no_grad():
            drawn = model.sample(self.samples, generator_for("search-sample", seed))
        features = self.classifier.features(intensity(to_levels(drawn, levels, domain), levels))
        return fid(features, self.valid_features)


@dataclass
class Scored:
    """What one training gave: its score (infinite if it failed), its cost, and where it was best."""

    value: float
    status: str
    cpu_seconds: float
    best_epoch: int | None
    rungs: dict[int, float] = field(default_factory=dict)


def score(ground: Ground, settings: ModelSettings, seed: int, report: Report | None = None) -> Scored:
    """Train a candidate from a seed and score it; `report` hears of each rung and may raise to stop it."""
    model = build(settings, ground.shape, ground.images.levels, seed)
    watch = _Watch(ground, settings.training.epochs, seed, report)
    how = How(torch.device("cpu"), label=f"search {settings.family}", watch=watch, quiet=True)
    started = time.process_time()
    outcome = train(model, ground.images, settings.training, seed, how)
    if outcome.status != "completed":
        return Scored(math.inf, outcome.status, time.process_time() - started, None, watch.seen)
    value, epoch = _value(ground, model, outcome, seed)
    return Scored(value, outcome.status, time.process_time() - started, epoch, watch.seen)


def _value(ground: Ground, model: GenerativeModel, outcome: Outcome, seed: int) -> tuple[float, int | None]:
    epochs = {step: epoch for step, epoch, *_ in outcome.history}
    epoch = None if isinstance(model, ClosedForm) else epochs.get(outcome.selected_step)
    if ground.objective == "fid_domain":
        assert isinstance(model, CanSample)
        return ground.distance(model, model.levels, model.domain, seed), epoch
    assert model.selection_loss is not None
    losses = curves(outcome.history)[f"valid/{model.selection_loss}"]
    return min(losses), epoch


class _Watch:
    """Reports the score at each rung of a training while it runs."""

    def __init__(self, ground: Ground, epochs: int, seed: int, report: Report | None) -> None:
        self.ground, self.seed, self.report = ground, seed, report
        self.rungs = {math.ceil(share * epochs): place for place, share in enumerate(RUNGS)}
        self.seen: dict[int, float] = {}

    def __call__(self, epoch: int, model: GenerativeModel, best_loss: float) -> None:
        if epoch not in self.rungs:
            return
        if self.ground.objective == "loss":
            value = best_loss
        elif isinstance(model, Finishes):
            return  # It samples from what is fitted after the training.
        else:
            model.eval()
            assert isinstance(model, CanSample)
            value = self.ground.distance(model, model.levels, model.domain, self.seed)
        self.seen[self.rungs[epoch]] = value
        if self.report is not None:
            self.report(self.rungs[epoch], value)


def candidate(block: dict[str, Any], epochs: int | None) -> ModelSettings:
    """The validated settings of a model block, at a length of training."""
    settings = family_class(block["family"]).Settings.model_validate(block)
    if epochs is None:
        return settings
    return settings.model_copy(update={"training": settings.training.model_copy(update={"epochs": epochs})})
