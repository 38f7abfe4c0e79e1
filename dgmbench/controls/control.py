"""What a control is: its settings, what it may look at, and the finding that it returns.

A control puts a metric before a case whose answer is known (copies, noise, a true density) and reports what
the metric says of it. Its numbers become rows of `results.csv` under the model name
`control/<control>/<subject>`, its curves and images a figure of the report, beside the claim that it tests
and a sentence made from its own numbers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar, Unpack

import numpy as np
import torch
from torch import Tensor

from dgmbench.claims.claim import Verdict
from dgmbench.data.dataset import Dataset
from dgmbench.data.pixels import dequantise, intensity
from dgmbench.errors import DgmbenchError
from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.results import About, Origin, Record
from dgmbench.settings.block import Strict
from dgmbench.statistics import Interval
from dgmbench.terms import ViewName
from dgmbench.training.devices import device_name, synchronize
from dgmbench.training.examples import Examples
from dgmbench.training.seeding import derive_seed, generator_for

PREFIX = "control"


@dataclass(frozen=True)
class Curve:
    """One line of a panel: y over x, with a band where `low` and `high` are given (equal lengths)."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None

    def __post_init__(self) -> None:
        lengths = {len(values) for values in (self.x, self.y, self.low, self.high) if values is not None}
        if len(lengths) != 1:
            raise ValueError(f"curve '{self.name}' has columns of different lengths: {sorted(lengths)}")

    @classmethod
    def of(cls, name: str, x: Sequence[float], intervals: Sequence[Interval]) -> Curve:
        """A line through the means, with the intervals as its band."""
        lows, highs = [interval.low for interval in intervals], [interval.high for interval in intervals]
        return cls(name, x, [interval.mean for interval in intervals], lows, highs)


@dataclass(frozen=True)
class Panel:
    """One plot: curves, and dashed reference lines `levels` by name; `x_names` makes x categories.

    log_y: for values that fall by orders of magnitude. stacked: the curves are parts of a whole (outcomes of
    so many trials), which categories show as one bar each.
    """

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    levels: dict[str, float] = field(default_factory=dict)
    log_x: bool = False
    x_names: Sequence[str] | None = None
    log_y: bool = False
    stacked: bool = False


@dataclass(frozen=True)
class Sheet:
    """Images that belong to the finding: uint8 ``[n, C, H, W]`` of so many levels."""

    title: str
    images: np.ndarray
    levels: int


@dataclass(frozen=True)
class Finding:
    """What a control found: `sentence` is made of its numbers, `outcome` is their verdict on the claim."""

    outcome: Verdict
    sentence: str
    records: Sequence[Record]
    panels: Sequence[Panel] = ()
    sheets: Sequence[Sheet] = ()
    # Lines of cells, the first of them the headings: for what would rather be read than seen.
    table: Sequence[Sequence[str]] = ()


@dataclass
class Context:
    """What a control may look at: a prepared data set, its classifier of the gray view, and seeds."""

    control: str
    data: Dataset
    classifier: DomainClassifier | None
    seed: int
    data_seed: int
    device: torch.device
    view: ViewName = "gray"
    # The folder that remembers what measures find of real images; None: it is found anew.
    store: str | None = None
    clock: float = field(default_factory=time.monotonic)
    # The classifier's features of real images by split, embedded once for all that measures are asked.
    kept_features: dict[str, Tensor] = field(default_factory=dict)

    @property
    def domain(self) -> DomainClassifier:
        """The classifier, for a control that cannot do without. Raises DgmbenchError if there is none."""
        if self.classifier is None:
            raise DgmbenchError(f"control {self.control} needs a data set with labels")
        return self.classifier

    def raw(self, split: str, limit: int | None = None) -> Tensor:
        """Discrete images, uint8 ``[n, C, H, W]``: the first `limit` of a split."""
        return torch.from_numpy(self.data.images(split)[:limit].copy())

    def pixels(self, split: str, limit: int | None = None) -> Tensor:
        """Images as float32 intensities in [0, 1]."""
        return intensity(self.raw(split, limit), self.data.levels)

    def dequantised(self, split: str, limit: int | None = None) -> Tensor:
        """v = (k + u)/L with the noise of the data seed, on the device; float32 ``[n, C, H, W]``."""
        noise = generator_for("dequantise", split, self.data_seed)
        return dequantise(self.raw(split, limit), self.data.levels, noise).to(self.device)

    def examples(self) -> Examples:
        """The training and validation images, as the training loop takes them."""
        train, valid = (self.raw(split).to(self.device) for split in ("train", "valid"))
        return Examples.of_images(train, valid, self.data_seed)

    def generator(self, *parts: int | str) -> torch.Generator:
        """A generator on the device for one purpose within this control."""
        return generator_for("control", self.control, self.seed, *parts, device=self.device)

    def rng(self, *parts: int | str) -> np.random.Generator:
        """NumPy's generator for one purpose within this control."""
        return np.random.default_rng(derive_seed("control", self.control, self.seed, *parts))

    def sklearn_seed(self, *parts: int | str) -> int:
        """A `random_state` for scikit-learn."""
        return derive_seed("control", self.control, self.seed, *parts) % 2**32

    def lap(self) -> float:
        """Seconds since the last lap; what a record reports as its cost."""
        synchronize(self.device)
        now = time.monotonic()
        seconds, self.clock = now - self.clock, now
        return seconds

    def record(
        self,
        subject: str,
        metric: str,
        value: float,
        std_error: float | None = None,
        *,
        seed: int | None = None,
        **about: Unpack[About],
    ) -> Record:
        """A row under ``control/<control>/<subject>``; `seed` where the control repeats itself."""
        if std_error is not None and not math.isfinite(std_error):
            raise ValueError(f"{subject} {metric}: the standard error is {std_error}")
        number, device = self.seed if seed is None else seed, device_name(self.device)
        origin = Origin(self.data.name, self.view, self.named(subject), number, device)
        return origin.record(metric, value, std_error, **about)

    def named(self, subject: str) -> str:
        """What records call a subject of this control."""
        return f"{PREFIX}/{self.control}/{subject}"


class ControlSettings(Strict):
    """The settings of a control; each adds its own, with defaults that fit 28x28 images on a CPU."""


S = TypeVar("S", bound=ControlSettings)


class Control(Generic[S]):
    """One control. Subclasses set the class variables and implement `run`."""

    Settings: ClassVar[type[ControlSettings]]
    # Shown above the figure: what it is about, what is claimed, and by whom (with the section).
    title: ClassVar[str]
    claim: ClassVar[str]
    source: ClassVar[str]
    needs_labels: ClassVar[bool] = False

    def __init__(self, settings: S) -> None:
        self.settings = settings

    def run(self, context: Context) -> Finding:
        """Carry it out."""
        raise NotImplementedError
