"""How much a metric may differ between two runs of the same code: the numbers, each with its source.

Three things make a number differ, and each has a column here, per kind of metric:

- **rounding**: other processors and thread counts add up in another order. A score that counts images also
  differs by the few images that lie on an edge. `python benchmarks/machines.py verdict` imitates processors
  with SSE4, AVX2 and AVX-512, with one thread and two: there PPCA's likelihood differs by 5e-14 of its value,
  its pixel scores by 2e-16, shares of 300 images by .0022, their floors by .0033. A thousandth, or three
  images, leaves room for other libraries; a difference that matters to a reader is larger.
- **classifier**: scores in the domain classifier's features are by one classifier for all seeds, so its own
  chance does not average out over them. Trained on another processor it drifts apart by rounding, at most
  until it is a classifier of another seed. So this is the standard deviation over eight classifiers that
  score the same images, by `python benchmarks/machines.py classifiers`; the largest of any set of samples.
  It was measured on digits, whose 1,197 training images leave a classifier more to chance than MNIST's do.
  Drift itself stays far below it there (.03 % of PPCA's FID, 1.3 points of AuthPct under AVX2), as the
  training is of 570 steps only; longer ones and GPUs drift farther.
- **seeds**: the largest standard deviation over training seeds that any entry of the committed reports has,
  by `python benchmarks/machines.py seeds`. Left out is `ae/prior`, which is no generator: its own spread
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
        """What this comes to at a value."""
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


# A metric is of the first kind that its key begins with.
KINDS: dict[str, Allowance] = {
    "log_likelihood_parzen": Allowance(Size(absolute=2.0)),
    "log_likelihood_ais": Allowance(Size(0.06)),
    "log_likelihood": Allowance(Size(0.01)),
    "elbo": Allowance(Size(0.01)),
    "bdmc_gap": Allowance(Size(0.3, 0.15)),
    "fid_domain_infinity": Allowance(Size(0.3, 1.4), classifier=Size(0.2, 0.35)),
    "fid_inception_infinity": Allowance(Size(0.3, 1.4)),
    "fid_domain": Allowance(Size(0.35), classifier=Size(0.17)),
    "fid_": Allowance(Size(0.35)),
    "kid_domain": Allowance(Size(0.35, 2.7), classifier=Size(0.5, 0.3)),
    "kid_": Allowance(Size(0.35, 2.7)),
    "precision_inception": Allowance(Size(absolute=0.04), rounding=IMAGES),
    "recall_inception": Allowance(Size(absolute=0.085), rounding=IMAGES),
    "density_inception": Allowance(Size(absolute=0.06), rounding=IMAGES),
    "coverage_inception": Allowance(Size(absolute=0.055), rounding=IMAGES),
    "precision": Allowance(Size(absolute=0.031), classifier=Size(absolute=0.035), rounding=IMAGES),
    "recall": Allowance(Size(absolute=0.085), classifier=Size(absolute=0.07), rounding=IMAGES),
    "density": Allowance(Size(absolute=0.06), classifier=Size(absolute=0.05), rounding=IMAGES),
    "coverage": Allowance(Size(absolute=0.055), classifier=Size(absolute=0.031), rounding=IMAGES),
    "class_histogram_distance": Allowance(Size(absolute=0.05), classifier=Size(0.15, 0.018), rounding=IMAGES),
    "effective_classes": Allowance(Size(0.15), classifier=Size(0.15)),
    "nn_distance_ratio_domain": Allowance(Size(0.04), classifier=Size(0.024)),
    "nn_distance_ratio": Allowance(Size(0.052)),
    "auth_pct_domain": Allowance(Size(absolute=2.0), classifier=Size(absolute=3.5), rounding=PERCENT),
    "auth_pct": Allowance(Size(absolute=2.0), rounding=PERCENT),
    "c_t_domain": Allowance(Size(absolute=0.6), classifier=Size(absolute=0.25)),
    "c_t": Allowance(Size(absolute=0.3)),
    "pairwise_distance_ratio": Allowance(Size(0.035)),
    "high_frequency_ratio": Allowance(Size(0.03)),
    "edge_sharpness_ratio": Allowance(Size(0.0125)),
    "probe_accuracy": Allowance(Size(absolute=4.0), rounding=PERCENT),
    "svm_accuracy": Allowance(Size(absolute=4.0), rounding=PERCENT),
    "ssl_error": Allowance(Size(absolute=4.0), rounding=PERCENT),
    "test_accuracy": Allowance(Size(absolute=0.8), classifier=Size(absolute=0.8), rounding=PERCENT),
}
# Likelihoods in bits/dim, which lie farther from zero.
BITS = {
    "log_likelihood_ais": Allowance(Size(0.02)),
    "": Allowance(Size(0.0085)),
}
# A metric that is in neither table.
UNKNOWN = Allowance(Size(0.1))


def allowance(key: str) -> Allowance:
    """The allowance of a metric by its key in metrics.json."""
    kinds = BITS if key.endswith("_bpd") else KINDS
    return next((kind for start, kind in kinds.items() if key.startswith(start)), UNKNOWN)
