"""What the code declares, as tables for documents: every metric, every control."""

from __future__ import annotations

from collections.abc import Sequence

from dgmbench.controls.registry import CONTROLS, control_class
from dgmbench.metrics import UNITS
from dgmbench.metrics.catalogue import all_metrics
from dgmbench.metrics.metric import Metric
from dgmbench.reporting import markdown
from dgmbench.reporting.words import escaped

_BETTER = {"higher": "higher", "lower": "lower", "one": "nearer to 1", "none": "–"}


def metrics_table() -> str:
    """A line for each metric, in the order of the report: its name, what it says, unit, direction."""
    return _table(("metric", "what", "unit", "better"), [_metric_line(metric) for metric in all_metrics()])


def controls_table() -> str:
    """A line for each control: its name, the statement that it tests and whose it is."""
    classes = {name: control_class(name) for name in CONTROLS}
    lines = [
        (f"`{name}`", escaped(control.claim), escaped(control.source)) for name, control in classes.items()
    ]
    return _table(("control", "statement", "source"), lines)


def _metric_line(metric: Metric) -> tuple[str, ...]:
    what = ": ".join(part for part in (metric.label, metric.text) if part)
    units = ", ".join(UNITS[unit] for unit in metric.units)
    return f"`{metric.name}`", escaped(what), units or "–", _BETTER[metric.better]


def _table(heads: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
    return markdown.table([heads, ("---",) * len(heads), *lines])
