"""Whether samples are as sharp as data: high frequencies, and the width of edges."""

from __future__ import annotations

from dgmbench.metrics.allowance import Allowance, Size
from dgmbench.metrics.metric import Metric, Topic

_FREQUENCY, _EDGES = Allowance(Size(0.03)), Allowance(Size(0.0125))

METRICS = (
    Metric(
        "high_frequency_ratio", "sharpness", "1", "one", Topic.COLLAPSE,
        "energy of samples above half the Nyquist frequency over that of test images; below 1 is blur, above "
        "1 is noise",
        over_test_images=True, allowed=_FREQUENCY,
    ),
    Metric(
        "high_frequency_ratio_mean", "sharpness of means", "1", "one", Topic.COLLAPSE,
        "sharpness of mean images, without the observation noise that hides blur",
        over_test_images=True, allowed=_FREQUENCY,
    ),
    Metric(
        "edge_sharpness_ratio", "edges", "1", "one", Topic.COLLAPSE,
        "mean slope of edges (one over their width in pixels) over that of test images; below 1 edges are "
        "blurred (or drowned in strong noise), above 1 steeper than in data",
        over_test_images=True, allowed=_EDGES,
    ),
    Metric(
        "edge_sharpness_ratio_mean", "edges of means", "1", "one", Topic.COLLAPSE,
        "slope of edges in mean images, without observation noise",
        over_test_images=True, allowed=_EDGES,
    ),
)  # fmt: skip
