"""How near samples are to test data, in the features of a classifier: distances and their parts.

Every score is declared for both feature spaces at once, the data set's own classifier and Inception.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgmbench.metrics.allowance import IMAGES, PERCENT, Allowance, Size
from dgmbench.metrics.metric import Metric, Topic


@dataclass(frozen=True)
class Space:
    """A feature space: how it ends names, what it is called, and whether a classifier of ours made it.

    suffix: of the scores that lack one in the domain space (`precision`, not `precision_domain`).
    ours: the space's features change with the classifier's own seed, so that scores may differ by more.
    """

    name: str
    label: str
    topic: Topic
    suffix: str
    ours: bool

    def allowed(self, seeds: Size, classifier: Size, rounding: Size | None = None) -> Allowance:
        """An allowance in this space: `classifier` counts only where a classifier of ours is behind it."""
        part = classifier if self.ours else Size()
        return Allowance(seeds, part) if rounding is None else Allowance(seeds, part, rounding)


DOMAIN = Space("domain", "domain", Topic.QUALITY, "", True)
INCEPTION = Space("inception", "Inception", Topic.INCEPTION, "_inception", False)
SPACES = (DOMAIN, INCEPTION)

# Cases of the control of planted copies: nothing but copies, samples without a class, samples with noise. A
# distance stands for all of quality and has to notice every one, its parts their own.
COPIED, DROPPED, NOISY = "copies_1", "dropped_class", "noise"
AMISS = (COPIED, DROPPED, NOISY)

_FID = {
    "domain": "Fréchet distance in the features of a classifier trained on this data set; not comparable "
    "with Inception FIDs or across data sets",
    "inception": "Fréchet distance in Inception features (pytorch-fid's network), gray images repeated over "
    "three channels",
}
_INFINITY = {
    "domain": "FID (domain) extrapolated to infinite n, by a line in 1/n (Chong & Forsyth 2020): without the "
    "bias of finite n; its error can make it negative",
    "inception": "FID (Inception) extrapolated to infinite n, by a line in 1/n",
}
_KID = {
    "domain": "squared maximum mean discrepancy with the cubic kernel (Binkowski et al. 2018) in the domain "
    "classifier's features; without bias, so that it may be below 0",
    "inception": "KID in Inception features",
}
_PRECISION = (
    "share of samples inside a ball around a test image, as large as the distance to its k-th nearest test "
    "image, in the domain classifier's features (Kynkäänniemi et al. 2019): like data?"
)
_RECALL = (
    "share of test images inside a ball around a sample, as large as the distance to its k-th nearest "
    "sample: is data covered?"
)
_DENSITY = "number of test images' balls that a sample lies in, over k (Naeem et al. 2020); data has 1"
_COVERAGE = "share of test images whose ball holds a sample; outlying samples cannot raise it"


def distances(space: Space) -> tuple[Metric, ...]:
    """FID, its value without bias, and KID."""
    fid, kid = f"fid_{space.name}", f"kid_{space.name}"
    return (
        Metric(fid, f"FID ({space.label})", "1", "lower", space.topic, _FID[space.name],
               over_test_images=True, floor=True, notices=AMISS,
               allowed=space.allowed(Size(0.35), Size(0.17))),
        Metric(f"{fid}_infinity", f"FID∞ ({space.label})", "1", "lower", space.topic, _INFINITY[space.name],
               over_test_images=True, trusted_as=fid,
               allowed=space.allowed(Size(0.3, 1.4), Size(0.2, 0.35))),
        Metric(kid, f"KID ({space.label})", "1", "lower", space.topic, _KID[space.name],
               over_test_images=True, floor=True, notices=AMISS,
               allowed=space.allowed(Size(0.35, 2.7), Size(0.5, 0.3))),
    )  # fmt: skip


def shares(space: Space) -> tuple[Metric, ...]:
    """Precision, recall, density and coverage."""
    rows = (
        ("precision", _PRECISION, (NOISY,), 0.031 if space.ours else 0.04, 0.035),
        ("recall", _RECALL, (DROPPED,), 0.085, 0.07),
        ("density", _DENSITY, (NOISY,), 0.06, 0.05),
        ("coverage", _COVERAGE, (DROPPED, NOISY), 0.055, 0.031),
    )
    return tuple(
        Metric(
            name + space.suffix,
            name if space.ours else f"{name} ({space.label})",
            "1",
            "one" if name == "density" else "higher",
            space.topic,
            text if space.ours else f"{name} in Inception features",
            over_test_images=True,
            floor=True,
            notices=notices,
            allowed=space.allowed(Size(absolute=seeds), Size(absolute=classifier), IMAGES),
        )
        for name, text, notices, seeds, classifier in rows
    )


def sizes(space: Space) -> tuple[Metric, ...]:
    """Numbers of images behind the distances."""
    return (
        Metric(f"n_generated_{space.name}", f"generated images ({space.label})", "1", "none", space.topic,
               "number of generated images behind the distances", hidden=True),
        Metric(f"n_real_{space.name}", f"test images ({space.label})", "1", "none", space.topic,
               "number of test images behind the distances", hidden=True),
    )  # fmt: skip


METRICS = (
    *(metric for space in SPACES for part in (distances, shares, sizes) for metric in part(space)),
    Metric(
        "class_histogram_distance", "class histogram", "1", "lower", Topic.QUALITY,
        "share of samples that would have to change class for the classes to be as frequent as among test "
        "images, both as the domain classifier sees them (total variation)",
        over_test_images=True, floor=True, notices=(DROPPED,),
        allowed=Allowance(Size(absolute=0.05), Size(0.15, 0.018), IMAGES),
    ),
    Metric(
        "conditional_accuracy", "class as asked", "percent", "higher", Topic.QUALITY,
        "share of samples that the domain classifier puts into the class that they were asked to be of",
        allowed=Allowance(Size(absolute=4.0), Size(absolute=0.8), PERCENT),
    ),
)  # fmt: skip
