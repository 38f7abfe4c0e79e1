"""Domain FIDs of several sets of images, and intervals of what is made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from dgmbench.controls.asking import found_by, given
from dgmbench.controls.control import Context
from dgmbench.evaluation.quality.in_features import domain_fid
from dgmbench.points import Points
from dgmbench.results import Record
from dgmbench.statistics import Interval

FID = "fid_domain"


@dataclass(frozen=True)
class Fids:
    """Domain FIDs of several sets of images against the same test images, with their errors.

    Args:
        found: the record of each set, as the measure `domain_fid` gives it.
        points: values around each by test image, whose error is over test images alone.
        fixed: sets that are what they are (the training images); the others could have been other draws.
    """

    found: Mapping[str, Record]
    points: Mapping[str, Points]
    fixed: Sequence[str] = ()

    @property
    def values(self) -> dict[str, float]:
        """The FID of each set."""
        return {name: record.value for name, record in self.found.items()}

    def contrast(self, weights: Mapping[str, float]) -> Interval:
        """Interval of the weighted sum of the named sets' FIDs.

        The test images' part is taken image by image, so that what the sets share cancels; the parts of the
        sets' own images are independent.
        """
        mean = sum(weight * self.found[name].value for name, weight in weights.items())
        by_image = sum(weight * self.points[name].values for name, weight in weights.items())
        shared = float(np.var(by_image, ddof=1)) / np.size(by_image)
        own = sum((weight * self._over_own(name)) ** 2 for name, weight in weights.items())
        return Interval.normal(mean, math.sqrt(shared + own))

    def interval(self, name: str) -> Interval:
        """Interval of one set's FID."""
        return self.contrast({name: 1.0})

    def records(self) -> list[Record]:
        """A row per set, under its name; the error of a fixed set is over test images alone."""
        return [
            replace(record, std_error=math.hypot(self._over_real(name), self._over_own(name)))
            for name, record in self.found.items()
        ]

    def _over_real(self, name: str) -> float:
        return self.points[name].std_error or 0.0

    def _over_own(self, name: str) -> float:
        """Standard error over the set's own images."""
        over_all = self.found[name].std_error or 0.0
        own = over_all**2 - self._over_real(name) ** 2
        return 0.0 if name in self.fixed else math.sqrt(max(own, 0.0))


def domain_fids(context: Context, sets: Mapping[str, Tensor], fixed: Sequence[str] = ()) -> Fids | None:
    """Domain FID of each of `sets` (uint8 ``[n, C, H, W]``) to the test images; None without a classifier.

    Sets named in `fixed` are taken as given (the training images), the others as draws that could be others.
    """
    if context.classifier is None:
        return None
    asked = {name: given(context, images, name) for name, images in sets.items()}
    found = {name: found_by(each, [FID], domain_fid)[0] for name, each in asked.items()}
    return Fids(found, {name: each.points[FID, "1"] for name, each in asked.items()}, fixed)
