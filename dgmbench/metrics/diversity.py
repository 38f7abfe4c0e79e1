"""Whether samples differ from each other as data do, and whether classes are dropped."""

from __future__ import annotations

from dgmbench.metrics.allowance import Allowance, Size
from dgmbench.metrics.metric import Metric, Topic

METRICS = (
    Metric(
        "class_coverage", "classes drawn", "1", "higher", Topic.COLLAPSE,
        "share of the data's classes that are at least a tenth as frequent among samples as among test "
        "images, by the domain classifier; below 1 classes are dropped",
        counts=True,
    ),
    Metric(
        "pairwise_distance_ratio", "diversity", "1", "one", Topic.COLLAPSE,
        "mean pixel distance between two samples over that between two test images; near 0 all samples are "
        "alike",
        over_test_images=True, allowed=Allowance(Size(0.035)),
    ),
    Metric(
        "effective_classes", "effective classes", "1", "higher", Topic.COLLAPSE,
        "exp of the entropy of the samples' class shares, by the domain classifier; equals the number of "
        "classes if all are equally frequent",
        allowed=Allowance(Size(0.15), classifier=Size(0.15)),
    ),
    Metric(
        "discriminator_saturated", "D saturated", "percent", "none", Topic.COLLAPSE,
        "share of training epochs over which the discriminator was right about more than 99 % of images, "
        "real and drawn; under a saturating loss its gradient to the generator then vanishes",
    ),
)  # fmt: skip
