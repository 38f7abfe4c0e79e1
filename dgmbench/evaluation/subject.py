"""One trained model under evaluation: what it draws, encodes and gives as likelihoods."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.data.view import Reading, View
from dgmbench.evaluation.judged import Judged
from dgmbench.evaluation.likelihood.estimators import PointEstimates
from dgmbench.evaluation.subsets import shuffled_rows
from dgmbench.files import sha256_file
from dgmbench.models.capabilities import CanEncode, CanSample, HasObservationModel, SamplesInWays
from dgmbench.points import Points, points_path, write_points
from dgmbench.results import Kind, Origin, Record
from dgmbench.terms import LEVELLED
from dgmbench.training.devices import device_name
from dgmbench.training.loading import Run
from dgmbench.training.seeding import generator_for


@dataclass
class Subject(Judged):
    """One run under evaluation. Held-out examples come in two forms: x, and as the view observes them.

    In views of images x may be dequantised, with noise fixed by the data seed.

    Args:
        run: the trained model and its saved samples.
        kept: log-likelihoods that a later metric compares its own with, by "exact" and "importance": float64
            of all test images, NaN where there is none.
        way: a way of sampling other than the entry's own; its records are those of `<model>/<way>`.
        codes: the model's features of images, by split and limit.
    """

    run: Run = field(kw_only=True)
    kept: dict[str, Tensor] = field(default_factory=dict, kw_only=True)
    way: str | None = field(default=None, kw_only=True)
    codes: dict[tuple[str, int | None], np.ndarray[Any, Any]] = field(default_factory=dict, kw_only=True)

    @property
    def origin(self) -> Origin:
        """What its records have in common."""
        info = self.run.info
        model = info["model"] if self.way is None else f"{info['model']}/{self.way}"
        return Origin(info["dataset"], info["view"], model, info["seed"], device_name(self.device))

    @property
    def view(self) -> View:
        """How the model sees the data set."""
        return self.run.model.view

    def inputs(self, split: str, limit: int | None = None, draw: int = 0) -> Tensor:
        """Examples as the model takes them, on the device; `draw` is the number of the dequantisation."""
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

    def mean_images(self, n: int) -> Tensor | None:
        """Mean images ``[n, C, H, W]`` of p(x|z), cut to [0, 1] as samples are, for draws of p(z).

        None in the binary view, without a p(x|z), and for a further way of sampling: they are the model's,
        whatever way its samples are drawn in.
        """
        model = self.run.model
        if self.way is not None or self.view.is_binary or not isinstance(model, HasObservationModel):
            return None
        generator = generator_for("sharpness", self.settings.seed, device=self.device)
        sizes = [len(block) for block in torch.empty(n).split(self.settings.batch_size)]
        with torch.no_grad():
            means = [model.decode(model.prior_sample(size, generator)).cpu() for size in sizes]
        return torch.cat(means).clamp(0, 1)

    def error_of(self, over_all: float | None, points: Points | None) -> float | None:
        """Over held-out images alone where that is known: the samples' error is in the spread of seeds."""
        return over_all if points is None else points.std_error

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
