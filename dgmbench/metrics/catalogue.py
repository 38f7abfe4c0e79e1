"""All declarations, found by listing the files of this folder, and the declaration of a given name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from dgmbench.errors import suggest
from dgmbench.metrics.metric import FLOOR, Metric, Topic

# The files of this folder that declare nothing.
_OTHERS = ("allowance", "catalogue", "metric")


class UndeclaredMetricError(LookupError):
    """A metric that no file of dgmbench/metrics declares, or a unit that its declaration lacks."""


@cache
def all_metrics() -> tuple[Metric, ...]:
    """Every declaration in the order of a report: by topic, then as the files list them.

    Raises ValueError where two declarations claim the same name.
    """
    found = [metric for module in modules() for metric in importlib.import_module(module).METRICS]
    names = [metric.name for metric in found]
    for family in (metric for metric in found if metric.is_family):
        names += [name for name in names if name != family.name and family.member_called(name)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"metrics declared twice: {', '.join(twice)}")
    topics = list(Topic)
    return tuple(sorted(found, key=lambda metric: topics.index(metric.topic)))


def modules() -> list[str]:
    """Dotted names of the files that declare metrics."""
    package = __name__.rpartition(".")[0]
    names = sorted(info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return [f"{package}.{name}" for name in names if name not in _OTHERS]


@cache
def declared(name: str) -> Metric:
    """The declaration of a metric by its name in results.csv; of a family, that of its member.

    Raises UndeclaredMetricError if there is none.
    """
    found = _find(name)
    if found is None:
        known = [metric.name for metric in all_metrics()]
        near = suggest(name, known).partition("Valid: ")[0]
        raise UndeclaredMetricError(
            f"metric '{name}' is not declared; {near}To declare it, add `Metric(\"{name}\", label, unit, "
            "better, topic, text)` to METRICS in a file of dgmbench/metrics"
        )
    return found


def check(name: str, unit: str) -> None:
    """Raises UndeclaredMetricError unless the metric is declared, and in this unit."""
    units = declared(name).units
    if unit not in units:
        raise UndeclaredMetricError(
            f"metric '{name}' is declared in {' and '.join(units)}, not in '{unit}'; its declaration in "
            "dgmbench/metrics lists its units"
        )


def order(names: Iterable[str]) -> list[str]:
    """Names of metrics in the order of a report; members of a family by their parameters."""
    return sorted(names, key=place)


def place(name: str) -> tuple[int, list[int], str]:
    """Sort key of a metric in a report."""
    metric = declared(name)
    base = metric.family or metric.name
    places = _places()
    index = places.get(base, places.get(base.removesuffix(FLOOR), len(places)))
    sign = -1 if metric.largest_first else 1
    return index, [sign * value for value in metric.parameters.values()], name


@cache
def _places() -> dict[str, int]:
    return {metric.name: place for place, metric in enumerate(all_metrics())}


def _find(name: str) -> Metric | None:
    exact = next((metric for metric in all_metrics() if metric.name == name and not metric.is_family), None)
    return exact or _member(name) or _floor(name)


def _member(name: str) -> Metric | None:
    for family in all_metrics():
        found = family.member_called(name)
        if found is not None:
            values = {key: int(text) if text.isdigit() else _find(text) for key, text in found.items()}
            known = {key: value for key, value in values.items() if value is not None}
            return family.of(**known) if len(known) == len(values) else None
    return None


def _floor(name: str) -> Metric | None:
    base = _find(name.removesuffix(FLOOR)) if name.endswith(FLOOR) else None
    return base.of_training_images() if base is not None and base.floor else None
