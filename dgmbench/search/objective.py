"""One training of a candidate, and its score on the validation images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dgmbench.data.pixels import intensity
from dgmbench.data.schema import Schema
from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.evaluation.quality.frechet import fid
from dgmbench.models.base import Model, ModelSettings
from dgmbench.models.capabilities import CanSample
from dgmbench.models.hooks import ClosedForm, Finishes
from dgmbench.models.registry import family_class
from dgmbench.search.settings import Entry
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples
from dgmbench.training.loading import build
from dgmbench.training.outcome import How, Outcome, curves
from dgmbench.training.seeding import generator_for

# Shares of a training's length at which a poor trial may be stopped.
RUNGS = (0.25, 0.5)

Report = Callable[[int, float], None]


@dataclass(frozen=True)
class Ground:
    """What all candidates of an entry share: the examples by label set, the space that samples are scored in.

    Label sets are seeds, as in a run.
    """

    examples: Callable[[int], Examples]
    schema: Schema
    objective: str
    samples: int
    classifier: DomainClassifier | None = None
    valid_features: Tensor | None = None

    @classmethod
    def of(
        cls,
        examples: Callable[[int], Examples],
        schema: Schema,
        entry: Entry,
        samples: int,
        classifier: DomainClassifier | None,
    ) -> Ground:
        """The ground of an entry; a domain FID needs the classifier of gray images."""
        if entry.objective != "fid_domain":
            return cls(examples, schema, entry.objective, samples)
        assert classifier is not None
        valid = classifier.features(intensity(examples(0).valid.raw, schema.image.levels))
        return cls(examples, schema, entry.objective, samples, classifier, valid)

    def distance(self, model: Model, seed: int) -> float:
        """Domain FID of freshly drawn samples to the validation images."""
        assert self.classifier is not None
        assert self.valid_features is not None
        assert isinstance(model, CanSample)
        with torch.no_grad():
            drawn = model.sample(self.samples, generator_for("search-sample", seed))
        features = self.classifier.features(model.view.display(model.view.decode(drawn)))
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
    model = build(settings, ground.schema, seed)
    watch = _Watch(ground, settings.training.epochs, seed, report)
    how = How(torch.device("cpu"), label=f"search {settings.family}", watch=watch, quiet=True)
    started = time.process_time()
    outcome = train(model, ground.examples(seed), settings.training, seed, how)
    if outcome.status != "completed":
        return Scored(math.inf, outcome.status, time.process_time() - started, None, watch.seen)
    value, epoch = _value(ground, model, outcome, seed)
    return Scored(value, outcome.status, time.process_time() - started, epoch, watch.seen)


def _value(ground: Ground, model: Model, outcome: Outcome, seed: int) -> tuple[float, int | None]:
    epochs = {step: epoch for step, epoch, *_ in outcome.history}
    epoch = None if isinstance(model, ClosedForm) else epochs.get(outcome.selected_step)
    if ground.objective == "fid_domain":
        return ground.distance(model, seed), epoch
    key = "error" if ground.objective == "error" else model.selection_loss
    assert key is not None
    return min(curves(outcome.history)[f"valid/{key}"]), epoch


class _Watch:
    """Reports the score at each rung of a training while it runs."""

    def __init__(self, ground: Ground, epochs: int, seed: int, report: Report | None) -> None:
        self.ground, self.seed, self.report = ground, seed, report
        self.rungs = {math.ceil(share * epochs): place for place, share in enumerate(RUNGS)}
        self.seen: dict[int, float] = {}

    def __call__(self, epoch: int, model: Model, best_loss: float) -> None:
        if epoch not in self.rungs:
            return
        if self.ground.objective != "fid_domain":
            # Nothing yet in a first stage, or where what classifies is fitted after the training.
            other = self.ground.objective == "error" and model.selection_loss != "error"
            if other or not math.isfinite(best_loss):
                return
            value = best_loss
        elif isinstance(model, Finishes):
            return  # It samples from what is fitted after the training.
        else:
            model.eval()
            value = self.ground.distance(model, self.seed)
        self.seen[self.rungs[epoch]] = value
        if self.report is not None:
            self.report(self.rungs[epoch], value)


def candidate(block: dict[str, Any], epochs: int | None) -> ModelSettings:
    """The validated settings of a model block, at a length of training."""
    settings = family_class(block["family"]).Settings.model_validate(block)
    if epochs is None:
        return settings
    return settings.model_copy(update={"training": settings.training.model_copy(update={"epochs": epochs})})
