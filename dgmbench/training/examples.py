"""The examples that a model is trained and validated on, and the batches made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.data.dataset import Dataset
from dgmbench.data.labels import check_count, labelled_rows, labelled_validation_rows
from dgmbench.data.view import View
from dgmbench.errors import LabelsError
from dgmbench.models.base import ModelSettings, Supervision
from dgmbench.models.semisupervised.settings import LabelledSettings, PartialSettings
from dgmbench.training.seeding import generator_for


@dataclass(frozen=True)
class Part:
    """One split on the training device: raw examples ``[n, ...]``, and labels and conditions of theirs."""

    raw: Tensor
    label: Tensor | None = None
    condition: Tensor | None = None

    def __len__(self) -> int:
        return len(self.raw)

    def batch(self, view: View, noise: torch.Generator, rows: Tensor | slice = slice(None)) -> Batch:
        """Some examples with the view's noise drawn."""
        label, condition = (None if each is None else each[rows] for each in (self.label, self.condition))
        return view.batch(self.raw[rows], noise, label, condition)

    def at(self, rows: Tensor | slice) -> Part:
        """The examples of some rows."""
        label, condition = (None if each is None else each[rows] for each in (self.label, self.condition))
        return replace(self, raw=self.raw[rows], label=label, condition=condition)

    def followed_by(self, other: Part) -> Part:
        """These examples and then the other's, both with labels."""
        assert self.label is not None
        assert other.label is not None
        raw, label = torch.cat([self.raw, other.raw]), torch.cat([self.label, other.label])
        return replace(self, raw=raw, label=label)


@dataclass(frozen=True)
class Labelled:
    """Examples whose labels a model sees beside the pool of all, and how many of them go into a step.

    batch: 0 where no step reads labels.
    """

    part: Part
    batch: int


@dataclass(frozen=True)
class Examples:
    """Training and validation examples.

    valid_binary: the fixed binarisation of the validation images, where there is one.
    labelled: the labelled ones among the training examples, whose labels `train` hides ("partial").
    """

    train: Part
    valid: Part
    data_seed: int = 0
    valid_binary: Tensor | None = None
    labelled: Labelled | None = None

    @classmethod
    def of_images(cls, train: Tensor, valid: Tensor, data_seed: int) -> Examples:
        """Of images alone, uint8 ``[n, C, H, W]``."""
        return cls(Part(train), Part(valid), data_seed)

    @property
    def labels(self) -> int:
        """How many training examples have a label."""
        if self.labelled is not None:
            return len(self.labelled.part)
        return 0 if self.train.label is None else int((self.train.label != UNKNOWN).sum())

    def batch(self, view: View, noise: torch.Generator, rows: Tensor, labelled: Tensor | None) -> Batch:
        """Training examples of some rows; then, with their labels, the labelled ones of other rows."""
        if self.labelled is None or labelled is None:
            return self.train.batch(view, noise, rows)
        both = self.train.at(rows).followed_by(self.labelled.part.at(labelled.to(rows.device)))
        return both.batch(view, noise)

    def whole(self, view: View, noise: torch.Generator) -> Batch:
        """All training examples; then, with their labels, the labelled ones of a pool."""
        if self.labelled is None:
            return self.train.batch(view, noise)
        return self.train.followed_by(self.labelled.part).batch(view, noise)

    def validation(self, view: View) -> Batch:
        """All validation examples, by the fixed binarisation or a fixed dequantisation."""
        valid = self.valid
        if view.is_binary and self.valid_binary is not None:
            return view.held_out(self.valid_binary, None, valid.label, valid.condition)
        noise = generator_for("dequantise", "valid", self.data_seed, device=valid.raw.device)
        return valid.batch(view, noise)


@dataclass(frozen=True)
class Source:
    """A data set's training and validation examples on a device, with all labels that there are."""

    name: str
    train: Part
    valid: Part
    data_seed: int
    valid_binary: Tensor | None
    # On the CPU, where label sets are drawn.
    labels: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    classes: int | None = None

    @classmethod
    def of(cls, data: Dataset, data_seed: int, device: torch.device) -> Source:
        """Of a prepared data set."""
        binary = data.binary("valid") if "binary" in data.views else None
        parts, labels = {}, {}
        for split in ("train", "valid"):
            raw, known = _resident(data.examples(split), device), data.labels(split)
            parts[split] = Part(raw, None if known is None else _resident(known, device))
            if known is not None:
                labels[split] = np.array(known)
        there = None if binary is None else _resident(binary, device)
        return cls(data.name, parts["train"], parts["valid"], data_seed, there, labels, data.schema.classes)

    def seen(self, settings: ModelSettings, supervision: Supervision, label_set: int) -> Examples:
        """The examples with what a model may see of their labels, some by the label set.

        Raises:
            LabelsError: labels that the data set has not.
        """
        if supervision == "none":
            return self._as(lambda part: Part(part.raw))
        if not self.labels or self.classes is None:
            raise LabelsError(f"{self.name} has no labels")
        if supervision == "condition":
            return self._as(lambda part: Part(part.raw, condition=part.label))
        assert isinstance(settings, LabelledSettings)
        labelled = self._labelled(settings, self.classes, label_set)
        if supervision == "labelled":
            return labelled
        assert self.train.label is not None
        size = settings.labelled_batch if isinstance(settings, PartialSettings) else 0
        pool = replace(self.train, label=torch.full_like(self.train.label, UNKNOWN))
        return replace(labelled, train=pool, labelled=Labelled(labelled.train, size))

    def _as(self, form: Callable[[Part], Part]) -> Examples:
        return Examples(form(self.train), form(self.valid), self.data_seed, self.valid_binary)

    def _labelled(self, settings: LabelledSettings, classes: int, label_set: int) -> Examples:
        """The labelled examples alone."""
        seed, train, valid, binary = self.data_seed, self.train, self.valid, self.valid_binary
        if settings.labels is None:
            check_count(self.labels["train"], classes, None, "train")
        else:
            rows = labelled_rows(self.labels["train"], classes, settings.labels, seed, label_set)
            train = train.at(_resident(rows, train.raw.device))
        if settings.valid_labels is not None:
            chosen = labelled_validation_rows(self.labels["valid"], classes, settings.valid_labels, seed)
            kept = _resident(chosen, valid.raw.device)
            valid, binary = valid.at(kept), None if binary is None else binary[kept]
        return Examples(train, valid, seed, binary)


def examples_by_set(
    data: Dataset, data_seed: int, device: torch.device, settings: ModelSettings, supervision: Supervision
) -> Callable[[int], Examples]:
    """A data set's examples on `device`, with the labels that a model may see, by the label set."""
    source = Source.of(data, data_seed, device)
    return lambda label_set: source.seen(settings, supervision, label_set)


def _resident(array: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(array)).to(device)
