"""The k nearest labelled images in Euclidean distance of pixels, k chosen on the labelled validation images.

Each neighbour has a vote (`dgmbench.models.parts.votes`). Distances are exact in float64, and of equally
distant images the first counts as nearer: the answer is the same on every machine.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.errors import SettingsError
from dgmbench.models.base import Supervision
from dgmbench.models.parts.votes import votes
from dgmbench.models.semisupervised.classifier import ImageClassifier, error_percent, known_labels
from dgmbench.models.semisupervised.settings import LabelledSettings

# Distances that are held at once.
BLOCK = 1 << 24


class NearestNeighbourSettings(LabelledSettings):
    """The numbers of neighbours among which validation chooses."""

    neighbours: list[PositiveInt] = Field(
        [1, 3, 5, 7, 9],
        min_length=1,
        description="candidates for k; the best on validation is kept, the least of equally good ones",
    )


class NearestNeighbour(ImageClassifier):
    """The labelled images themselves, uint8 levels."""

    Settings = NearestNeighbourSettings
    supervision: ClassVar[Supervision] = "labelled"

    images: Tensor
    labels: Tensor
    neighbours: Tensor

    def __init__(self, settings: NearestNeighbourSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        if self.levels > 256:
            raise SettingsError(f"it keeps its images as uint8, and {self.levels} levels do not fit")
        self.candidates = sorted(settings.neighbours)
        # `labels: null` does not say how many images there are: see `_load_from_state_dict`.
        self.register_buffer("images", torch.zeros(0, self.dims, dtype=torch.uint8))
        self.register_buffer("labels", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("neighbours", torch.ones((), dtype=torch.int64))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Make room for the stored images, whose number is not among the settings; then load as usual."""
        stored = state_dict.get(f"{prefix}images")
        if stored is not None:
            self.images = self.images.new_empty((len(stored), self.dims))
            self.labels = self.labels.new_empty(len(stored))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def parameter_count(self) -> int:
        """n d: every pixel of the n labelled images."""
        return self.images.numel()

    def fit(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Keep the labelled ``train [n, C, H, W]`` and the k with the least error on `valid`."""
        self.images, self.labels = train.x.flatten(1).to(torch.uint8), known_labels(train).clone()
        fitting = [k for k in self.candidates if k <= len(self.labels)] or [len(self.labels)]
        near, truth = self._nearest(valid.x, max(fitting)), known_labels(valid)
        errors = {k: float(error_percent(votes(near[:, :k], self.classes), truth)) for k in fitting}
        best = min(fitting, key=lambda k: errors[k])
        self.neighbours.fill_(best)
        entropy = F.nll_loss(votes(near[:, :best], self.classes).log(), truth)
        return {"loss": float(entropy), "error": errors[best], "neighbours": float(best)}

    def predict(self, x: Tensor) -> Tensor:
        """``[n, classes]`` float64: shares of the votes."""
        return votes(self._nearest(x, int(self.neighbours)), self.classes)

    def logits(self, x: Tensor) -> Tensor:
        """The logarithm of `predict`."""
        return self.predict(x).log()

    def _nearest(self, x: Tensor, k: int) -> Tensor:
        """Labels ``[n, k]`` of the nearest images to ``x [n, C, H, W]``, the nearest first."""
        if len(self.images) == 0:
            raise ValueError("there are no neighbours: fit the model, or load its state, first")
        known = self.images.double()
        lengths, rows = known.square().sum(1), torch.arange(len(known), device=x.device)
        found = []
        for part in x.flatten(1).double().split(max(1, BLOCK // len(known))):
            # |c|^2 - 2 x.c is a whole number, as |x|^2 is; with the row behind it no two are alike.
            keys = (lengths - 2 * part @ known.T) * len(known) + rows
            found.append(self.labels[keys.topk(k, largest=False).indices])
        return torch.cat(found)
