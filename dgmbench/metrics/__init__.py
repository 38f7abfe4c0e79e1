"""Every metric, declared once: its name, label, unit, direction, table, words and how far it may differ.

Evaluation, tables, figures, footnotes, the regression check and MLflow all read these declarations. To add
a metric, write ``Metric(name, label, unit, better, topic, text)`` into METRICS of a file of this folder, or
into a new file: all files are found. Nothing here imports torch.
"""

from dgmbench.metrics.allowance import Allowance, Size
from dgmbench.metrics.catalogue import UndeclaredMetricError, all_metrics, check, declared, order
from dgmbench.metrics.metric import ARROWS, UNITS, WAYS, Direction, Metric, Topic

__all__ = [
    "ARROWS",
    "UNITS",
    "WAYS",
    "Allowance",
    "Direction",
    "Metric",
    "Size",
    "Topic",
    "UndeclaredMetricError",
    "all_metrics",
    "check",
    "declared",
    "order",
]
