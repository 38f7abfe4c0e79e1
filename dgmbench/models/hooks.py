"""What a model asks of its training: small protocols that the loop asks for, never for a family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from dgmbench.data.batch import Batch


@runtime_checkable
class ClosedForm(Protocol):
    """A model fitted by a closed form or EM rather than by gradient steps."""

    def fit(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Fit to `train`, choose among variants on `valid`; returns named validation losses.

        Both are whole splits; `generator` makes any random start repeatable.
        """
        ...


@runtime_checkable
class UsesTrainingMean(Protocol):
    """Starts from the mean training image (an output bias, a centred input)."""

    def use_training_mean(self, mean: Tensor) -> None:
        """Called once before the first step: ``[C, H, W]`` in [0, 1]. It belongs in a buffer or parameter."""
        ...


@runtime_checkable
class StartsFromExamples(Protocol):
    """Initialises parameters from what a few training examples give (data-dependent initialisation)."""

    start_examples: int

    def start_from(self, batch: Batch, generator: torch.Generator) -> None:
        """Called once, before the first step, with `start_examples` training examples drawn at random.

        All that it sets belongs in parameters or buffers, which a checkpoint overwrites.
        """
        ...


@runtime_checkable
class EncodesOnce(Protocol):
    """Trains in two stages: first what makes codes of examples, then, on these codes, the rest.

    Once the first stage has ended, its parameters stand. So the codes of all training examples are made once,
    and are x in every batch from then on. Held-out examples are always x as the view gives it. Epochs of
    the first stage are never selected.
    """

    def first_stage_epochs(self, epochs: int) -> int:
        """How many of so many epochs are the first stage's."""
        ...

    def codes(self, x: Tensor) -> Tensor:
        """``[n, ...]`` codes of x; repeatable, so that a resumed training has the same."""
        ...

    def end_first_stage(self, codes: Tensor) -> None:
        """Called once, between the stages, with the codes of all training examples; it keeps buffers."""
        ...


@runtime_checkable
class UsesTrainingSizes(Protocol):
    """Weighs parts of its objective by how many training examples there are, and how many have a label."""

    def use_training_sizes(self, pool: int, labelled: int) -> None:
        """Called once, before the first step; what is kept belongs in a buffer.

        `pool` counts all training examples, labelled ones included.
        """
        ...


@runtime_checkable
class Finishes(Protocol):
    """Fits something of its own after the gradient steps, such as a density of its codes."""

    def finish(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Called once with the kept parameters; returns named numbers for the validation history.

        Both are whole splits. What is fitted belongs in buffers whose shapes follow from the
        settings, so that weights load.
        """
        ...


@runtime_checkable
class NoticesCollapse(Protocol):
    """Finds from its curves that a training has failed though every number is finite."""

    def collapse(self, curves: Mapping[str, Sequence[float]]) -> str | None:
        """Why the training has collapsed, or None; called after each epoch, and a reason ends the training.

        `curves` holds the losses so far by ``train/<name>`` (epoch means) and ``valid/<name>``.
        """
        ...
