"""What a model's features are good for, and how many latents it uses."""

from __future__ import annotations

from dgmbench.metrics.allowance import PERCENT, Allowance, Size
from dgmbench.metrics.metric import Metric, Topic

_PROBES = Allowance(Size(absolute=4.0), rounding=PERCENT)

METRICS = (
    Metric(
        "active_units", "active units", "1", "none", Topic.REPRESENTATION,
        "latents whose posterior mean varies over test images by more than 0.01 (variance)",
    ),
    Metric(
        "probe_error_{labels}", "linear probe error ({labels} labels)", "percent", "lower",
        Topic.REPRESENTATION,
        "test error of logistic regression on the model's features, trained on that many labels, its penalty "
        "chosen on as many validation labels",
        over_test_images=True, allowed=_PROBES,
    ),
    Metric(
        "knn_error_{labels}", "k-NN error ({labels} labels)", "percent", "lower",
        Topic.REPRESENTATION,
        "test error of the k nearest of that many labelled images in the model's features, k chosen on as "
        "many validation labels",
        over_test_images=True, allowed=_PROBES,
    ),
    Metric(
        "svm_error_{labels}", "L2-SVM error ({labels} labels)", "percent", "lower",
        Topic.REPRESENTATION,
        "test error of a linear L2-SVM on the model's features, trained on that many labels, as Radford et "
        "al. 2015 judge a discriminator",
        over_test_images=True, allowed=_PROBES,
    ),
)  # fmt: skip
