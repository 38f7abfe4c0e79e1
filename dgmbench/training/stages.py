"""Trainings in two stages, the second of which is on codes of the examples (`EncodesOnce`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from dgmbench.data.view import View
from dgmbench.models.base import Model
from dgmbench.models.capabilities import EncodesOnce
from dgmbench.training.examples import Part
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


@torch.no_grad()
def codes_of(model: EncodesOnce, view: View, part: Part) -> Part:
    """A part with codes for its examples."""
    assert isinstance(model, nn.Module)
    training, noise = model.training, generator_for("codes", device=part.raw.device)
    model.eval()
    codes = [model.codes(view.batch(raw, noise).x) for raw in part.raw.split(BLOCK)]
    model.train(training)
    return replace(part, raw=torch.cat(codes))
