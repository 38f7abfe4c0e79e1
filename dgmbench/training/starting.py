"""What a model is told of its examples before the first step, and before a checkpoint is loaded."""

from __future__ import annotations

import torch

from dgmbench.models.base import Model
from dgmbench.models.hooks import StartsFromExamples, UsesTrainingMean, UsesTrainingSizes
from dgmbench.training.examples import Examples
from dgmbench.training.labelled_cycle import LabelledCycle
from dgmbench.training.seeding import generator_for


def start(model: Model, examples: Examples, seed: int, device: torch.device) -> None:
    """Tell a model the training mean, the sizes, and a few examples, where it asks for them."""
    if isinstance(model, UsesTrainingMean):
        model.use_training_mean(model.image_view.mean(examples.train.raw))
    if isinstance(model, StartsFromExamples):
        # By noise of its own, so that a resumed training, which starts anew here, loses no draw.
        noise, train = generator_for("start", seed, device=device), examples.train
        rows = torch.randperm(len(train), generator=noise, device=device)[: model.start_examples]
        model.start_from(train.batch(model.view, noise, rows), noise)
    if isinstance(model, UsesTrainingSizes):
        model.use_training_sizes(len(examples.train), examples.labels)


def labelled_cycle(examples: Examples, seed: int) -> LabelledCycle | None:
    """In which order steps see the labelled examples beside the pool; None where no step does."""
    labelled = examples.labelled
    if labelled is None or not labelled.batch:
        return None
    return LabelledCycle(len(labelled.part), labelled.batch, seed)
