"""Samples of any origin, and the real images of a data set that measures compare them with.

The evaluation of a run judges its samples (`Subject`); `score` and the controls judge images that they are
given (`Given`). All of them ask the same measures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, Unpack

import numpy as np
import torch
from torch import Tensor

from dgmbench.data.dataset import Dataset
from dgmbench.data.view import View
from dgmbench.data.views import ImageView
from dgmbench.errors import DgmbenchError
from dgmbench.evaluation.arrays import save_arrays
from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.evaluation.features.embed import embedded
from dgmbench.evaluation.features.feature_spaces import DomainSpace, FeatureSpace
from dgmbench.evaluation.left_out import LeftOut
from dgmbench.points import Points
from dgmbench.provenance import code_key
from dgmbench.results import About, Origin, Record
from dgmbench.settings import EvaluationSettings
from dgmbench.store import Store
from dgmbench.training.devices import synchronize
from dgmbench.training.seeding import derive_seed, generator_for

Found = TypeVar("Found")
Arrays = Mapping[str, np.ndarray[Any, Any]]
# Real images that are embedded at once.
EMBEDDED = 1 << 16


@dataclass
class Judged:
    """Samples and what they are held against. Held-out images are as the view observes them.

    In the binary view they are the fixed binarisation (of training images, the one that the data seed draws).

    Args:
        settings: those of `evaluation` that the measures read.
        classifier: of the data set in this view; None: there is none.
        against: the split that the samples are compared with.
        inception: the Inception network's space, where it is in use.
    """

    data: Dataset
    settings: EvaluationSettings
    data_seed: int
    device: torch.device
    classifier: DomainClassifier | None
    inception: FeatureSpace | None = field(default=None, kw_only=True)
    against: str = field(default="test", kw_only=True)
    clock: float = field(default_factory=time.monotonic, kw_only=True)
    # The classifier's features of all real images, by split.
    kept_features: dict[str, Tensor] = field(default_factory=dict, kw_only=True)
    # What was found of real images alone, by what it follows from.
    kept_real: dict[tuple[object, ...], Arrays] = field(default_factory=dict, kw_only=True)
    # What could not be measured.
    left_out: list[LeftOut] = field(default_factory=list, kw_only=True)
    # Values by held-out image of what has been measured, by metric and unit.
    points: dict[tuple[str, str], Points] = field(default_factory=dict, kw_only=True)

    # Who is judged

    @property
    def origin(self) -> Origin:
        """What its records have in common."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """What records call the model."""
        return self.origin.model

    @property
    def seed(self) -> int:
        """The training seed of the model."""
        return self.origin.seed

    @property
    def view(self) -> View:
        """How the samples see the data set."""
        raise NotImplementedError

    @property
    def samples(self) -> Tensor:
        """The samples as the view observes them, in an order that has nothing to do with their content."""
        raise NotImplementedError

    @property
    def image_view(self) -> ImageView:
        """The view of images; TypeError for any other."""
        if not isinstance(self.view, ImageView):
            raise TypeError(f"{self.name} sees {self.view.name}, not images")
        return self.view

    @property
    def levels(self) -> int:
        """L of the images as this view sees them: 2 when binary."""
        return self.image_view.levels

    def sample_pixels(self, limit: int | None = None) -> Tensor:
        """Samples as float32 intensities in [0, 1]."""
        return self.view.display(self.samples[:limit])

    def mean_images(self, n: int) -> Tensor | None:
        """Mean images ``[n, C, H, W]`` of p(x|z) for draws of p(z), in [0, 1]; None without a p(x|z)."""
        return None

    # What the samples are held against

    def raw(self, split: str, limit: int | None = None) -> Tensor:
        """Examples as the view observes them, ``[n, ...]``; the first `limit` of them."""
        noise = generator_for("binarise", "train", self.data_seed)
        return self.view.fixed(self.data, split, noise)[:limit]

    def size(self, split: str) -> int:
        """How many examples a split has."""
        return self.data.size(split)

    def pixels(self, split: str, limit: int | None = None) -> Tensor:
        """Images of the view as float32 intensities in [0, 1]."""
        return self.view.display(self.raw(split, limit))

    def held_out_rows(self, limit: int | None = None, split: str | None = None) -> Tensor:
        """The images of a split that stand for all, int64 ``[min(limit, n)]``, the same for every model.

        Drawn by the data seed, since the first ones are no sample of a data set that lies in some order
        (MNIST's first 5,000 test images are cleaner than the others). Fewer images are some of the more.
        """
        n = self.size(split or self.against)
        rng = np.random.default_rng(derive_seed("held out", self.data_seed))
        return torch.from_numpy(np.sort(rng.permutation(n)[:limit]))

    def held_out(self, limit: int | None = None) -> Tensor:
        """At most `limit` held-out images, uint8 ``[n, C, H, W]``, as `held_out_rows` names them."""
        return self.raw(self.against)[self.held_out_rows(limit)]

    def held_out_pixels(self, limit: int | None = None) -> Tensor:
        """The same as float32 intensities in [0, 1]."""
        return self.view.display(self.held_out(limit))

    # Feature spaces

    @cached_property
    def domain(self) -> FeatureSpace | None:
        """The domain classifier's feature space; None without a classifier."""
        return None if self.classifier is None else DomainSpace(self.classifier)

    def domain_features(self, split: str) -> Tensor:
        """The domain classifier's features of real images, float32 ``[n, f]``; a split is embedded once."""
        if split not in self.kept_features:
            # In blocks: a million images would be large as floats.
            blocks = self.raw(split).split(EMBEDDED)
            parts = [self._in_domain(self.view.display(block)) for block in blocks]
            self.kept_features[split] = torch.cat(parts)
        return self.kept_features[split]

    def sample_features(self, limit: int | None = None) -> Tensor:
        """The domain classifier's features of the first `limit` samples, float32 ``[n, f]``."""
        return self._sample_features[:limit]

    @cached_property
    def _sample_features(self) -> Tensor:
        """Of as many samples as any metric takes, embedded once for all of them."""
        return self._in_domain(self.sample_pixels(self.settings.scored_samples))

    def _in_domain(self, images: Tensor) -> Tensor:
        assert self.domain is not None
        return self.embedded(self.domain, images)

    def embedded(self, space: FeatureSpace, images: Tensor) -> Tensor:
        """Features [n, f] of images in [0, 1], computed once for a content."""
        return embedded(space, images, Store(self.settings.store))

    def of_real_images(self, name: str, *parts: object, compute: Callable[[], Arrays]) -> Arrays:
        """``compute()``, once for a data set and view whatever the model; see `Store.remembered`.

        `parts` are what it depends on besides the images of this view: limits, seeds, a feature space. The
        code that counts is that behind this file and the one that defines `compute`.
        """
        code = code_key(__name__, compute.__module__)
        images = self.data.sha256, self.view.name, self.against, self.data_seed
        key = (name, code, *images, self.settings.seed, *parts)
        if key not in self.kept_real:
            self.kept_real[key] = Store(self.settings.store).remembered(key, compute)
        return self.kept_real[key]

    # What a measure leaves

    def lap(self) -> float:
        """Seconds since the last lap; what a metric reports as its cost."""
        synchronize(self.device)
        now = time.monotonic()
        seconds, self.clock = now - self.clock, now
        return seconds

    def leave_out(self, metric: str, reason: object) -> None:
        """Keep for the end of the evaluation and the report why `metric` is not measured."""
        self.left_out.append(LeftOut(self.name, self.seed, metric, str(reason)))

    def attempt(self, metric: str, found: Callable[[], Iterable[Found]]) -> Iterator[Found]:
        """What `found` yields until it fails: the failure of one metric must not cost the others."""
        try:
            yield from found()
        except (DgmbenchError, ValueError) as error:
            self.leave_out(metric, error)

    def save(self, folder: Path, name: str, **arrays: np.ndarray[Any, Any]) -> None:
        """Write what a figure is drawn from into ``<name>-<seed>.npz``."""
        save_arrays(folder / f"{name}-{self.seed}.npz", **arrays)

    def record(
        self, metric: str, value: float, std_error: float | None = None, **about: Unpack[About]
    ) -> Record:
        """A record of what is judged; its split is `against` where `about` has none."""
        about.setdefault("split", self.against)
        return self.origin.record(metric, value, std_error, **about)

    def error_of(self, over_all: float | None, points: Points | None) -> float | None:
        """The standard error that a record of samples has: `over_all`, over samples and held-out images.

        points: values around it by held-out image, whose error is over held-out images alone.
        """
        return over_all
