"""Intervals of means over trainings (seeds) and test images, and of differences of two models.

All seeds of all models are scored on the same test images. A value of seed s on image i is taken as

    y_si = mean + a_s + b_i + e_si

with independent effects of the training, of the image and of both together (a two-way random-effects model).
The mean over S seeds and n images has the variance var(a)/S + var(b)/n + var(e)/(S n). The variance of the
seeds' means over S estimates the first and the last term, that of the images' means over n the second and the
last; the last alone comes from the residuals and is subtracted once. A difference of two models is taken
image by image, so that what an image contributes to both cancels.

Degrees of freedom: S - 1 for the seeds of one model; Satterthwaite's (1946) for the seeds of two, as in the
test of Welch (1947); n - 1 for the images. The interval of trainings and images together uses the mean of
the two t quantiles, weighted by the variances (Cochran & Cox 1950). Satterthwaite's rule for that sum too
would cover only 92 % with three seeds that dominate; the weighted mean covers 95 to 98 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dgmbench.statistics.interval import LEVEL, Interval, chi2_quantile, student_quantile

# Below this share of the mean, a spread is the rounding of the mean of equal values.
_ROUND_OFF = 1e-12


@dataclass(frozen=True)
class Part:
    """One source of chance: the variance that it gives a mean, and the degrees of freedom behind that."""

    variance: float
    freedom: float = math.inf

    def quantile(self, level: float = LEVEL) -> float:
        """Student's two-sided quantile. Raises ValueError if `level` is not inside (0, 1)."""
        if not 0.0 < level < 1.0:
            raise ValueError(f"the level of an interval lies strictly between 0 and 1, not {level}")
        return student_quantile(0.5 + level / 2, self.freedom)

    def half_width(self, level: float = LEVEL) -> float:
        """Half the width of the interval of this source alone."""
        return self.quantile(level) * math.sqrt(self.variance)


NONE = Part(0.0)


@dataclass(frozen=True)
class Sources:
    """What makes a mean uncertain: the trainings, the test images, and what both of these hold in common.

    trainings: None for one seed, which says nothing about the next. images: `NONE` where the test images
    play no part or their part is not known. interaction: a variance, counted in both.
    """

    trainings: Part | None
    images: Part = NONE
    interaction: float = 0.0

    def half_width(self, level: float = LEVEL) -> float | None:
        """Half the width of the interval over trainings and test images; None for one seed.

        Never below that of either source alone.
        """
        if self.trainings is None:
            return None
        beyond = max(self.images.variance - min(self.interaction, self.trainings.variance), 0.0)
        parts = self.trainings, Part(beyond, self.images.freedom)
        total = sum(part.variance for part in parts)
        weighted = sum(part.variance * part.quantile(level) for part in parts)
        together = weighted / math.sqrt(total) if total > 0 else 0.0
        return max(together, self.trainings.half_width(level), self.images.half_width(level))


def over_trainings(values: Sequence[float]) -> Part | None:
    """What the seeds contribute to the mean of `values`, one per seed; None for a single one."""
    return None if len(values) < 2 else Part(_variance(values) / len(values), len(values) - 1)


def over_images(by_image: np.ndarray) -> Part:
    """What n test images contribute to the mean of values [S, n] of S seeds that share them."""
    of_images = np.asarray(by_image, dtype=np.float64).mean(0)
    return Part(_variance(of_images) / len(of_images), len(of_images) - 1)


def sources(by_image: np.ndarray) -> Sources:
    """Of the mean of values [S, n], seeds by test images.

    Raises ValueError unless there are a seed and two images at least.
    """
    values = _checked(by_image)
    seeds, count = values.shape
    images = over_images(values)
    if seeds == 1:
        return Sources(None, images)
    of_seeds = values.mean(1)
    residuals = values - of_seeds[:, None] - values.mean(0) + values.mean()
    interaction = float(np.square(residuals).sum()) / ((seeds - 1) * (count - 1)) / (seeds * count)
    return Sources(over_trainings(of_seeds.tolist()), images, interaction)


def paired_difference(first: np.ndarray, second: np.ndarray, level: float = LEVEL) -> Interval:
    """Of the means of values [S, n] and [R, n] of two models on the same n test images.

    Each model's seeds count, and the images once, by the differences of the seeds' means. Raises ValueError
    where the images are not equally many.
    """
    first, second = _checked(first), _checked(second)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"{first.shape[1]} and {second.shape[1]} images are no pairs")
    own = [sources(values) for values in (first, second)]
    apart = first.mean(0) - second.mean(0)
    both = Sources(
        _sum([each.trainings for each in own]),
        over_images(apart[None]),
        own[0].interaction + own[1].interaction,
    )
    return _interval(float(apart.mean()), both.half_width(level))


def unpaired_difference(
    first: Sequence[float],
    second: Sequence[float],
    image_errors: tuple[float | None, float | None] = (None, None),
    level: float = LEVEL,
) -> Interval:
    """Of the means of two samples of seeds, where values by image are not at hand.

    image_errors: each mean's standard error over test images, taken as independent of each other; on the
    same images that makes the interval too wide rather than too narrow. Without them it is Welch's (1947).
    Raises ValueError on an empty sample.
    """
    if not len(first) or not len(second):
        raise ValueError("a difference needs at least one value on either side")
    images = Part(sum((error or 0.0) ** 2 for error in image_errors))
    both = Sources(_sum([over_trainings(first), over_trainings(second)]), images)
    return _interval(float(np.mean(first) - np.mean(second)), both.half_width(level))


def student_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Student's, of the mean of `values`, one per seed or repetition.

    Nothing is known of its width for a single value: one seed says nothing about the spread.
    Raises ValueError if `values` is empty or `level` is not inside (0, 1).
    """
    if not len(values):
        raise ValueError("an interval needs at least one value, and there is none")
    part = over_trainings(values)
    half = (part or NONE).half_width(level)
    return _interval(math.fsum(values) / len(values), None if part is None else half)


def deviation_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Of the standard deviation over trainings of normal `values`, one per seed, by chi-squared.

    Its mean is the middle of the ends, not the sample's deviation; one value says nothing. Raises ValueError
    if `values` is empty or `level` is not inside (0, 1).
    """
    if not len(values):
        raise ValueError("an interval needs at least one value, and there is none")
    if not 0.0 < level < 1.0:
        raise ValueError(f"the level of an interval lies strictly between 0 and 1, not {level}")
    freedom = len(values) - 1
    if not freedom:
        return Interval(0.0)
    squares = freedom * _variance(values)
    ends = (chi2_quantile(0.5 + side * level / 2, freedom) for side in (1, -1))
    return Interval.between(*(math.sqrt(squares / end) for end in ends))


def mean_interval(values: ArrayLike) -> Interval:
    """Of the mean of ``values [repetitions, n]``, scores (or their differences) of n test points.

    Over repetitions and test points, which all repetitions share; one repetition has only the second.
    """
    by_image = np.asarray(values, dtype=np.float64)
    found = sources(by_image)
    half = found.half_width()
    return Interval(float(by_image.mean()), found.images.half_width() if half is None else half)


def _interval(mean: float, half: float | None) -> Interval:
    return Interval(mean) if half is None else Interval(mean, half)


def _sum(parts: Sequence[Part | None]) -> Part | None:
    """The sum of independent variances, with Satterthwaite's degrees of freedom; None if one is unknown."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    variance = sum(part.variance for part in known)
    noise = sum(part.variance**2 / part.freedom for part in known)
    return Part(variance, variance**2 / noise if noise > 0 else math.inf)


def _variance(values: Sequence[float] | np.ndarray) -> float:
    """Unbiased variance; 0 where the spread is no more than the rounding of equal values."""
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return 0.0 if math.sqrt(variance) <= _ROUND_OFF * abs(mean) else variance


def _checked(by_image: np.ndarray) -> np.ndarray:
    values = np.asarray(by_image, dtype=np.float64)
    if values.ndim != 2 or len(values) < 1 or values.shape[1] < 2:
        raise ValueError(f"values are [seeds, images] with two images at least, not {values.shape}")
    return values
