"""The examples that a model is trained and validated on, and the batches made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.data.dataset import Dataset
from dgmbench.data.labels import labelled_rows
from dgmbench.data.view import View
from dgmbench.models.base import ModelSettings, Supervision
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


@dataclass(frozen=True)
class Examples:
    """Training and validation examples.

    valid_binary: the fixed binarisation of the validation images, where there is one.
    """

    train: Part
    valid: Part
    data_seed: int = 0
    valid_binary: Tensor | None = None

    @classmethod
    def of_images(cls, train: Tensor, valid: Tensor, data_seed: int) -> Examples:
        """Of images alone, uint8 ``[n, C, H, W]``."""
        return cls(Part(train), Part(valid), data_seed)

    def validation(self, view: View) -> Batch:
        """All validation examples, by the fixed binarisation or a fixed dequantisation."""
        valid = self.valid
        if view.is_binary and self.valid_binary is not None:
            return view.held_out(self.valid_binary, None, valid.label, valid.condition)
        noise = generator_for("dequantise", "valid", self.data_seed, device=valid.raw.device)
        return valid.batch(view, noise)


def examples_of(
    data: Dataset, data_seed: int, device: torch.device, settings: ModelSettings, supervision: Supervision
) -> Examples:
    """A data set's training and validation examples on `device`, with the labels that a model may see."""
    binary = data.binary("valid") if "binary" in data.views else None
    parts = {}
    for split in ("train", "valid"):
        raw = _resident(data.examples(split), device)
        labels = data.labels(split)
        parts[split] = Part(raw) if labels is None else _with_labels(raw, labels, split, data_seed, settings,
                                                                      supervision)  # fmt: skip
    return Examples(
        parts["train"], parts["valid"], data_seed, None if binary is None else _resident(binary, device)
    )


def _with_labels(
    raw: Tensor,
    labels: np.ndarray[Any, Any],
    split: str,
    data_seed: int,
    settings: ModelSettings,
    supervision: Supervision,
) -> Part:
    """The part with its labels as condition, as labels (some of them unknown), or without."""
    known = torch.from_numpy(np.array(labels)).to(raw.device)
    if supervision == "condition":
        return Part(raw, condition=known)
    if supervision == "none":
        return Part(raw)
    count = getattr(settings, "labels", None)
    if split != "train" or count is None:
        return Part(raw, label=known)
    rows = torch.from_numpy(labelled_rows(labels, count, data_seed)).to(raw.device)
    if supervision == "labelled":
        return Part(raw[rows], label=known[rows])
    hidden = torch.full_like(known, UNKNOWN)
    hidden[rows] = known[rows]
    return Part(raw, label=hidden)


def _resident(array: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(array)).to(device)
