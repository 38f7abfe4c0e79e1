"""The test error of a classifier, and its cross-entropy."""

from __future__ import annotations

from dgmbench.metrics.allowance import PERCENT, Allowance, Size
from dgmbench.metrics.metric import Metric, Topic

_OF_FEW_LABELS = Allowance(Size(absolute=4.0), rounding=PERCENT)

METRICS = (
    Metric(
        "ssl_error_{labels}", "error ({labels} labels)", "percent", "lower", Topic.CLASSIFICATION,
        "share of test images that are put into the wrong class by a classifier of that many labelled "
        "training images; a semi-supervised one has seen the others without labels",
        by_labels=True, over_test_images=True, allowed=_OF_FEW_LABELS,
    ),
    Metric(
        "ssl_error_all", "error (all labels)", "percent", "lower", Topic.CLASSIFICATION,
        "the same with the labels of all training images",
        by_labels=True, over_test_images=True, allowed=_OF_FEW_LABELS,
    ),
    Metric(
        "test_cross_entropy", "test cross-entropy", "nats", "lower", Topic.CLASSIFICATION,
        "mean negative log-probability of a test image's class; high where a classifier is sure and wrong",
        over_test_images=True,
    ),
    Metric(
        "test_accuracy", "test accuracy", "percent", "higher", Topic.CLASSIFICATION,
        "share of test images that are put into the right class",
        over_test_images=True,
        allowed=Allowance(Size(absolute=0.8), classifier=Size(absolute=0.8), rounding=PERCENT),
    ),
)  # fmt: skip
