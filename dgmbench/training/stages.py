"""Trainings in two stages, the second of which is on codes of the examples (`EncodesOnce`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.view import View
from dgmbench.models.base import Model
from dgmbench.models.hooks import EncodesOnce
from dgmbench.training.examples import Examples, Labelled, Part
from dgmbench.training.seeding import generator_for

# Examples that are encoded at once: always so many, so that a resumed training has the same codes to the bit.
BLOCK = 2000


@dataclass(frozen=True)
class Stage:
    """Its first epoch, its number of epochs, and whether it is the last, which alone selects an epoch."""

    first: int
    epochs: int
    last: bool


def stage_at(model: Model, epoch: int, epochs: int) -> Stage:
    """The stage that an epoch is in, of a training of so many epochs."""
    if not isinstance(model, EncodesOnce):
        return Stage(0, epochs, last=True)
    first = model.first_stage_epochs(epochs)
    if epoch < first:
        return Stage(0, first, last=False)
    return Stage(first, epochs - first, last=True)


@dataclass(frozen=True)
class CodedPart(Part):
    """Codes of examples, which a batch takes as they are."""

    def batch(self, view: View, noise: torch.Generator, rows: Tensor | slice = slice(None)) -> Batch:
        """Some codes; no noise is drawn."""
        chosen = self.at(rows)
        return Batch(chosen.raw, chosen.label, chosen.condition)


def encoded(model: EncodesOnce, view: View, examples: Examples) -> Examples:
    """The examples with codes for those of training."""
    labelled = examples.labelled
    if labelled is not None:
        labelled = Labelled(_coded(model, view, labelled.part), labelled.batch)
    return replace(examples, train=_coded(model, view, examples.train), labelled=labelled)


@torch.no_grad()
def _coded(model: EncodesOnce, view: View, part: Part) -> CodedPart:
    assert isinstance(model, nn.Module)
    training, noise = model.training, generator_for("codes", device=part.raw.device)
    model.eval()
    codes = [model.codes(view.batch(raw, noise).x) for raw in part.raw.split(BLOCK)]
    model.train(training)
    return CodedPart(torch.cat(codes), part.label, part.condition)
