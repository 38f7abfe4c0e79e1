"""What could not be measured, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class LeftOut:
    """A metric, or a group of them, that a run has not got, and why."""

    model: str
    seed: int
    metric: str
    reason: str


def left_out_lines(left_out: Iterable[LeftOut]) -> list[str]:
    """A line for each metric and reason, with every model (ways of sampling) and seed that it holds for."""
    of: dict[tuple[str, str], dict[str, list[int]]] = {}
    for each in left_out:
        of.setdefault((each.metric, each.reason), {}).setdefault(each.model, []).append(each.seed)
    return [
        f"{metric} left out for {', '.join(_with_seeds(*item) for item in models.items())}: {reason}"
        for (metric, reason), models in of.items()
    ]


def _with_seeds(model: str, seeds: list[int]) -> str:
    return f"{model} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})"
