"""What a model costs, and how a training failed, or was not begun."""

from __future__ import annotations

from dgmbench.metrics.metric import Metric, Topic

METRICS = (
    Metric(
        "sampling_rate", "sampling", "images_per_second", "higher", Topic.COST,
        "images generated per second on the device named with the runs",
        timing=True,
    ),
    Metric(
        "training_seconds", "training", "seconds", "lower", Topic.COST,
        "wall-clock time of training one seed",
        timing=True,
    ),
    Metric(
        "parameters", "parameters", "1", "none", Topic.COST, "trainable parameters", counts=True, whole=True
    ),
    Metric(
        "diverged", "diverged", "1", "none", Topic.COST,
        "1 for a training that stopped at a value that is not a number",
        hidden=True, failure=True,
    ),
    Metric(
        "collapsed", "collapsed", "1", "none", Topic.COST,
        "1 for a training whose samples are all alike",
        hidden=True, failure=True,
    ),
    Metric(
        "unavailable", "unavailable", "1", "none", Topic.COST,
        "1 for an entry that was not trained, since the data set lacks the labels that it needs",
        hidden=True, failure=True,
    ),
)  # fmt: skip
