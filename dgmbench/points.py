"""Values by test image of one run, beside its records: what comparisons pair over images.

`points-<seed>.npz` in the folder of a model's results holds, by metric, a value for each test image that the
metric covers. Their mean is the metric's value; their spread over the root of their number is its standard
error over test images. For a likelihood these are the log-likelihoods of single images, in nats. For a score
that is no mean over images they are values around the score with the same property: by test image (FID, KID:
the score's influence function), or by resample of the test images (precision, recall, density, coverage). So
they pair models in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from dgmbench.files import replacing

_VALUES, _IMAGES, _SCALE = "values/", "images/", "bits_per_nat"


@dataclass(frozen=True)
class Points:
    """Values of one metric by test image.

    images: int64 [n], ascending places in the test split, or numbers of resamples beyond all of those.
    values: float [n].
    """

    images: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        if self.images.ndim != 1 or self.images.shape != self.values.shape:
            raise ValueError(f"{self.values.shape} values of {self.images.shape} images; both are [n]")
        if np.any(np.diff(self.images) <= 0):
            raise ValueError("the images of points ascend, each of them once")

    @classmethod
    def of(cls, values: ArrayLike, images: ArrayLike | None = None) -> Points:
        """Of test images in any order (NumPy, or torch on the CPU); None: of the first n."""
        own = np.asarray(values)
        places = np.arange(len(own)) if images is None else np.asarray(images)
        order = np.argsort(places, kind="stable")
        return cls(places[order], own[order])

    def placed(self, rows: np.ndarray) -> Points:
        """The same where image i is test image ``rows[i]``; resamples of all images stay what they are."""
        if len(self.images) and self.images[-1] >= len(rows):
            return self
        return Points.of(self.values, rows[self.images])

    @property
    def std_error(self) -> float | None:
        """Standard error of the mean over images; None for one image or where a value is infinite."""
        if len(self.values) < 2 or not bool(np.isfinite(self.values).all()):
            return None
        return float(self.values.std(ddof=1)) / float(np.sqrt(len(self.values)))


def points_path(folder: Path, seed: int) -> Path:
    """Where a run's points lie in the folder of its results."""
    return Path(folder) / f"points-{seed}.npz"


def write_points(
    path: Path, points: Mapping[tuple[str, str], Points], bits_per_nat: float | None = None
) -> None:
    """Write points by metric and unit in float32, whole or not at all; no file where there are none.

    bits_per_nat: what a nat is in bits/dim, where the metrics in nats have records in that unit too.
    """
    if not points:
        return
    arrays: dict[str, np.ndarray] = {}
    for (metric, unit), found in points.items():
        arrays[f"{_VALUES}{unit}/{metric}"] = found.values.astype(np.float32)
        if not np.array_equal(found.images, np.arange(len(found.images))):
            arrays[f"{_IMAGES}{unit}/{metric}"] = found.images.astype(np.int32)
    if bits_per_nat is not None:
        arrays[_SCALE] = np.array(bits_per_nat)
    with replacing(path) as aside, open(aside, "wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **arrays)


def read_points(path: Path) -> dict[tuple[str, str], Points]:
    """Points by metric and unit; none where there is no file.

    Those in bits/dim are the ones in nats rescaled, less a constant that all models of a data set share.
    """
    if not Path(path).exists():
        return {}
    with np.load(path, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    found: dict[tuple[str, str], Points] = {}
    for name in (name for name in arrays if name.startswith(_VALUES)):
        key = name.removeprefix(_VALUES)
        unit, metric = key.split("/", 1)
        values = arrays[name].astype(np.float64)
        images = arrays.get(_IMAGES + key, np.arange(len(values))).astype(np.int64)
        found[metric, unit] = Points(images, values)
        if unit == "nats" and _SCALE in arrays:
            found[metric, "bits_per_dim"] = Points(images, values * float(arrays[_SCALE]))
    return found
