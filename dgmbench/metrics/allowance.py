"""How much a metric may differ between two runs of the same code: what an allowance is made of.

Three things make a number differ, and an allowance has a part for each:

- **rounding**: other processors and thread counts add up in another order. A score that counts images also
  differs by the few images that lie on an edge. `python benchmarks/machines.py verdict` imitates processors
  with SSE4, AVX2 and AVX-512, with one thread and two: there PPCA's likelihood differs by 5e-14 of its value,
  its pixel scores by 2e-16, shares of 300 images by .0022, their floors by .0033. A thousandth, or three
  images, leaves room for other libraries; a difference that matters to a reader is larger.
- **classifier**: all seeds share one domain classifier, so that its chance does not average out over them.
  Trained on another processor it drifts apart by rounding, at most until it is a classifier of another seed.
  So this is the standard deviation over eight classifiers that score the same images, by
  `python benchmarks/machines.py classifiers`; the largest of any set of samples. It was measured on digits,
  whose 1,197 training images leave a classifier more to chance than MNIST's do. Drift itself stays far below
  it there (.03 % of PPCA's FID, 1.3 points of AuthPct under AVX2), as the training is of 570 steps only;
  longer ones and GPUs drift farther.
- **seeds**: the largest standard deviation over training seeds that any entry of the committed reports has,
  by `python benchmarks/machines.py seeds`. `ae/prior` is left out, since it is no generator: its own spread
  holds for it. Entries whose seeds agree better are held to their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Of a value's size, a share of it and a constant in its unit, added."""

    relative: float = 0.0
    absolute: float = 0.0

    def of(self, value: float) -> float:
        """Its size at a value."""
        return self.relative * abs(value) + self.absolute

    def reach(self, value: float, deviations: float, *, growing: bool) -> float:
        """How far so many standard deviations lead, where this is one at every value on the way.

        The way is from `value` to larger or smaller sizes. A relative standard deviation compounds: the
        reach is that of a log-normal variable, since a low value may have been a low draw.
        """
        if not self.relative:
            return deviations * self.absolute
        exponent = self.relative * (deviations if growing else -deviations)
        return self.of(value) * abs(math.expm1(exponent)) / self.relative


# Of what is computed from floats; and of what counts some of 300 images, as a share and in percent.
DIGITS, IMAGES, PERCENT = Size(1e-3, 1e-9), Size(absolute=0.01), Size(absolute=1.0)


@dataclass(frozen=True)
class Allowance:
    """`rounding` bounds a difference; `seeds` and `classifier` are standard deviations."""

    seeds: Size
    classifier: Size = Size()
    rounding: Size = DIGITS


# Of a metric whose spread is not measured.
UNMEASURED = Allowance(Size(0.1))
