"""How a classifier is judged on held-out labelled images."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import SettingsError


def held_out_losses(logits: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Cross-entropy in nats and error in percent of ``logits [n, K]``.

    Raises:
        ValueError: an image has no label.
    """
    if batch.label is None or bool((batch.label < 0).any()):
        raise ValueError("a classifier is judged on labelled images alone")
    wrong = (logits.argmax(1) != batch.label).to(logits.dtype).mean()
    return {"loss": F.cross_entropy(logits, batch.label), "error": 100 * wrong}


def classes_of(schema: Schema) -> int:
    """How many classes the labels of a data set have.

    Raises:
        SettingsError: it has no labels.
    """
    if schema.classes is None:
        raise SettingsError("a classifier needs a data set with labels")
    return schema.classes
