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
        "probe_accuracy_{labels}", "probe accuracy ({labels} labels)", "percent", "higher",
        Topic.REPRESENTATION,
        "test accuracy of a linear classifier on the model's features, trained on that many labels, its "
        "penalty chosen on as many validation labels",
        over_test_images=True, allowed=_PROBES,
    ),
    Metric(
        "svm_accuracy_{labels}", "L2-SVM accuracy ({labels} labels)", "percent", "higher",
        Topic.REPRESENTATION,
        "test accuracy of a linear L2-SVM on pooled features of all discriminator layers, trained on that "
        "many labels (Radford et al. 2015)",
        over_test_images=True, allowed=_PROBES,
    ),
)  # fmt: skip
