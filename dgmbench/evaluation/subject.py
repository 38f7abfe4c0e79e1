"""What an evaluation is about: one trained model, the data it is held against, and how records are made."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from dgmbench.data.dataset import Dataset
from dgmbench.data.view import Reading, View
from dgmbench.data.views import ImageView
from dgmbench.errors import DgmbenchError
from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.evaluation.features.embed import embedded
from dgmbench.evaluation.features.feature_spaces import DomainSpace, FeatureSpace
from dgmbench.evaluation.likelihood.estimators import PointEstimates
from dgmbench.evaluation.subsets import shuffled_rows
from dgmbench.files import sha256_file
from dgmbench.models.capabilities import CanEncode, CanSample, SamplesInWays
from dgmbench.points import Points, points_path, write_points
from dgmbench.provenance import code_key
from dgmbench.results import Kind, Record
from dgmbench.settings import EvaluationSettings
from dgmbench.store import Store
from dgmbench.terms import LEVELLED
from dgmbench.training.devices import device_name, synchronize
from dgmbench.training.loading import Run
from dgmbench.training.seeding import derive_seed, generator_for

Found = TypeVar("Found")
Arrays = Mapping[str, np.ndarray[Any, Any]]
# Real images that are embedded at once.
EMBEDDED = 1 << 16


@dataclass(frozen=True)
class LeftOut:
    """A metric, or a group of them, that a run has not got, and why."""

    model: str
    seed: int
    metric: str
    reason: str


def left_out_lines(left_out: Iterable[LeftOut]) -> list[str]:
    """A line for each metric and reason, with every model (ways of sampling) and seed that it holds for."""
    of: dict[tuple[str, str], dict[str, list[int]]] = {}
    for each in left_out:
        of.setdefault((each.metric, each.reason), {}).setdefault(each.model, []).append(each.seed)
    return [
        f"{metric} left out for {', '.join(_with_seeds(*item) for item in models.items())}: {reason}"
        for (metric, reason), models in of.items()
    ]


def _with_seeds(model: str, seeds: list[int]) -> str:
    return f"{model} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})"


@dataclass
class Subject:
    """One run under evaluation. Held-out examples come in two forms: x, and as the view observes them.

    In the binary view both are the fixed binarisation (of training images, the one that the data seed draws).
    In other views of images x may be dequantised, with noise fixed by the data seed.
    """

    run: Run
    data: Dataset
    settings: EvaluationSettings
    data_seed: int
    device: torch.device
    classifier: DomainClassifier | None
    clock: float = field(default_factory=time.monotonic)
    # Log-likelihoods that a later metric compares its own with, by "exact" and "importance": float64 of all
    # test images, NaN where there is none.
    kept: dict[str, Tensor] = field(default_factory=dict)
    # A way of sampling other than the entry's own: its records are those of `<model>/<way>`.
    way: str | None = None
    codes: dict[tuple[str, int | None], np.ndarray[Any, Any]] = field(default_factory=dict)
    # The classifier's features of all real images, by split.
    kept_features: dict[str, Tensor] = field(default_factory=dict)
    # The Inception network's space, where it is in use.
    inception: FeatureSpace | None = None
    # What could not be measured: `LeftOut` by metric or group of them.
    left_out: list[LeftOut] = field(default_factory=list)
    # Values by test image of what has been measured, by metric and unit.
    points: dict[tuple[str, str], Points] = field(default_factory=dict)

    @property
    def view(self) -> View:
        """How the model sees the data set."""
        return self.run.model.view

    @property
    def image_view(self) -> ImageView:
        """The view of a model of images; TypeError for any other."""
        if not isinstance(self.view, ImageView):
            raise TypeError(f"{self.name} sees {self.view.name}, not images")
        return self.view

    @property
    def levels(self) -> int:
        """L of the images as this view sees them: 2 when binary."""
        return self.image_view.levels

    def raw(self, split: str, limit: int | None = None) -> Tensor:
        """Examples as the view observes them, ``[n, ...]``; the first `limit` of them."""
        noise = generator_for("binarise", "train", self.data_seed)
        return self.view.fixed(self.data, split, noise)[:limit]

    def pixels(self, split: str, limit: int | None = None) -> Tensor:
        """Images of the view as float32 intensities in [0, 1]."""
        return self.view.display(self.raw(split, limit))

    def inputs(self, split: str, limit: int | None = None, draw: int = 0) -> Tensor:
        """Examples as the model takes them, on the device; `draw` tells one dequantisation from another."""
        noise = generator_for("dequantise", split, self.data_seed, *[draw] * (draw > 0))
        return self.view.encode(self.raw(split, limit), noise).to(self.device)

    @cached_property
    def samples(self) -> Tensor:
        """The generated examples, as the view observes them, in the order of `shuffled_rows`.

        So a metric that takes the first n of them does not depend on the order in which they were drawn.
        """
        return self._drawn[self._order]

    @cached_property
    def conditions(self) -> Tensor | None:
        """The condition of each of the `samples`, ``[n, ...]``; None for a model without condition."""
        conditions = None if self.way is not None else self.run.conditions()
        return None if conditions is None else torch.from_numpy(conditions.copy())[self._order]

    @cached_property
    def samples_sha256(self) -> list[str | None]:
        """The hashes of the files of samples and of their conditions; None for a file that is not there."""
        folder, seed = self.run.folder, self.run.info["seed"]
        paths = [folder / f"{name}-{seed}.npy" for name in ("samples", "conditions")]
        return [sha256_file(path) if path.is_file() else None for path in paths]

    @cached_property
    def _drawn(self) -> Tensor:
        own = self.way is None
        return torch.from_numpy(self.run.samples().copy()) if own else self._samples_by(str(self.way))

    @cached_property
    def _order(self) -> Tensor:
        return shuffled_rows(self._drawn)

    def _samples_by(self, way: str) -> Tensor:
        """As many images as the run has, drawn in another way of the model's."""
        info = self.run.info
        generator = generator_for("sample", way, info["seed"], device=self.device)
        parts, size = [], self.settings.batch_size
        with torch.no_grad():
            for start in range(0, info["n_samples"], size):
                images = self.draw(min(size, info["n_samples"] - start), generator)
                parts.append(self.view.decode(images).cpu())
        return torch.cat(parts)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, ...]`` new samples as x, in this subject's way."""
        model = self.run.model
        if self.way is None:
            assert isinstance(model, CanSample)
            return model.sample(n, generator)
        assert isinstance(model, SamplesInWays)
        return model.sample_by(self.way, n, generator)

    def in_other_ways(self) -> Iterator[Subject]:
        """This run once for each further way of sampling that its model has."""
        model = self.run.model
        if isinstance(model, SamplesInWays):
            for way in model.ways:
                if way != model.way:
                    yield replace(self, way=way, points={})

    def features(self, split: str, limit: int | None = None) -> np.ndarray[Any, Any]:
        """The model's codes of the first `limit` images, float64 ``[n, f]``; each split is encoded once."""
        model = self.run.model
        assert isinstance(model, CanEncode)
        for (known, length), codes in self.codes.items():
            if known == split and (length is None or (limit is not None and limit <= length)):
                return codes[:limit]
        with torch.no_grad():
            batches = self.inputs(split, limit).split(self.settings.batch_size)
            codes = torch.cat([model.encode(x).double().cpu() for x in batches]).numpy()
        self.codes[split, limit] = codes
        return codes

    def held_out_rows(self, limit: int | None = None, split: str = "test") -> Tensor:
        """The images of a split that stand for all, int64 ``[min(limit, n)]``, the same for every model.

        Drawn by the data seed, since the first ones are no sample of a data set that lies in some order
        (MNIST's first 5,000 test images are cleaner than the others). Fewer images are some of the more.
        """
        n = self.data.size(split)
        rng = np.random.default_rng(derive_seed("held out", self.data_seed))
        return torch.from_numpy(np.sort(rng.permutation(n)[:limit]))

    def held_out(self, limit: int | None = None) -> Tensor:
        """At most `limit` test images, uint8 ``[n, C, H, W]``, as `held_out_rows` names them."""
        return self.raw("test")[self.held_out_rows(limit)]

    def held_out_pixels(self, limit: int | None = None) -> Tensor:
        """The same as float32 intensities in [0, 1]."""
        return self.view.display(self.held_out(limit))

    def domain_features(self, split: str) -> Tensor:
        """The domain classifier's features of real images, float32 ``[n, f]``; a split is embedded once."""
        if split not in self.kept_features:
            # In blocks: a million images would be large as floats.
            blocks = self.raw(split).split(EMBEDDED)
            parts = [self._in_domain(self.view.display(block)) for block in blocks]
            self.kept_features[split] = torch.cat(parts)
        return self.kept_features[split]

    def sample_features(self, limit: int | None = None) -> Tensor:
        """The domain classifier's features of the first `limit` generated images, float32 ``[n, f]``."""
        return self._sample_features[:limit]

    @cached_property
    def _sample_features(self) -> Tensor:
        """Of as many samples as any metric takes, embedded once for all of them."""
        return self._in_domain(self.sample_pixels(self.settings.scored_samples))

    def _in_domain(self, images: Tensor) -> Tensor:
        assert self.domain is not None
        return self.embedded(self.domain, images)

    def of_real_images(self, name: str, *parts: object, compute: Callable[[], Arrays]) -> Arrays:
        """``compute()``, once for a data set and view whatever the model; see `Store.remembered`.

        `parts` are what it depends on besides the images of this view: limits, seeds, a feature space. The
        code that counts is that behind this file and the one that defines `compute`.
        """
        code = code_key(__name__, compute.__module__)
        key = (name, code, self.data.sha256, self.view.name, self.data_seed, self.settings.seed, *parts)
        return Store(self.settings.store).remembered(key, compute)

    def sample_pixels(self, limit: int | None = None) -> Tensor:
        """Generated images as float32 intensities in [0, 1]."""
        return self.view.display(self.samples[:limit])

    @cached_property
    def domain(self) -> FeatureSpace | None:
        """The domain classifier's feature space; None without a classifier."""
        return None if self.classifier is None else DomainSpace(self.classifier)

    def embedded(self, space: FeatureSpace, images: Tensor) -> Tensor:
        """Features [n, f] of images in [0, 1], computed once for a content."""
        return embedded(space, images, Store(self.settings.store))

    def lap(self) -> float:
        """Seconds since the last lap; what a metric reports as its cost."""
        synchronize(self.device)
        now = time.monotonic()
        seconds, self.clock = now - self.clock, now
        return seconds

    @property
    def name(self) -> str:
        """What records call the model: the entry, with the way of sampling if it is not the entry's own."""
        entry = self.run.info["model"]
        return entry if self.way is None else f"{entry}/{self.way}"

    def leave_out(self, metric: str, reason: object) -> None:
        """Keep for the end of the evaluation and the report why `metric` is not measured."""
        self.left_out.append(LeftOut(self.name, self.run.info["seed"], metric, str(reason)))

    def attempt(self, metric: str, found: Callable[[], Iterable[Found]]) -> Iterator[Found]:
        """What `found` yields until it fails: the failure of one metric must not cost the others."""
        try:
            yield from found()
        except (DgmbenchError, ValueError) as error:
            self.leave_out(metric, error)

    def record(
        self,
        metric: str,
        value: float,
        std_error: float | None = None,
        *,
        n: int,
        unit: str,
        kind: Kind,
        split: str = "test",
        seconds: float = 0.0,
    ) -> Record:
        """A record of this run."""
        info = self.run.info
        return Record(
            dataset=info["dataset"],
            view=info["view"],
            model=self.name,
            seed=info["seed"],
            metric=metric,
            value=float(value),
            std_error=None if std_error is None else float(std_error),
            n=n,
            unit=unit,
            kind=kind,
            split=split,
            seconds=seconds,
            device=device_name(self.device),
        )

    def likelihood(
        self,
        metric: str,
        estimates: PointEstimates,
        kind: Kind,
        seconds: float,
        images: Tensor | None = None,
    ) -> Iterator[Record]:
        """Records of log-likelihoods of x, in every unit of the view.

        images: int64 ``[n]``, the test examples that the n estimates are of; None: the first n.
        """
        return self.readings(metric, self.view.measure(estimates.values, kind), seconds, images)

    def readings(
        self, metric: str, readings: list[Reading], seconds: float, images: Tensor | None = None
    ) -> Iterator[Record]:
        """Records of n values in several units; those in nats are kept among the subject's points."""
        for reading in readings:
            estimates = PointEstimates(reading.values)
            if reading.unit == "nats":
                self.points[metric, "nats"] = Points.of(reading.values, images)
            yield self.record(
                metric,
                estimates.mean(),
                estimates.std_error(),
                n=len(estimates),
                unit=reading.unit,
                kind=reading.kind,
                seconds=seconds if reading.unit == "nats" else 0.0,
            )

    def write_points(self, folder: Path) -> None:
        """Write the points of all that has been measured into ``points-<seed>.npz``."""
        levelled = self.view.name in LEVELLED and any(unit == "nats" for _, unit in self.points)
        scale = -1.0 / (self.image_view.dims * math.log(2)) if levelled else None
        write_points(points_path(folder, self.run.info["seed"]), self.points, scale)
