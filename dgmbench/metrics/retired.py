"""Metrics of earlier versions, so that their results.csv can still be read. Nothing records them any more."""

from __future__ import annotations

from dgmbench.metrics.metric import Metric, Topic

METRICS = (
    Metric(
        "probe_accuracy_{labels}", "probe accuracy ({labels} labels)", "percent", "higher",
        Topic.REPRESENTATION, "test accuracy of a linear probe; now `probe_error_{labels}`, on label sets",
        hidden=True, over_test_images=True,
    ),
    Metric(
        "svm_accuracy_{labels}", "L2-SVM accuracy ({labels} labels)", "percent", "higher",
        Topic.REPRESENTATION, "test accuracy of an L2-SVM probe; now `svm_error_{labels}`, on label sets",
        hidden=True, over_test_images=True,
    ),
    Metric(
        "test_error", "test error", "percent", "lower", Topic.CLASSIFICATION,
        "test error of a classifier; now `ssl_error_<labels>`, which names the number of labels",
        hidden=True, over_test_images=True,
    ),
)  # fmt: skip
