"""The trainings of a search as rows of its table, and the settings that they choose."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from dgmbench.files import sha256_json


@dataclass(frozen=True)
class Row:
    """One training of the search; `value` is None for one that was stopped at a rung.

    Its columns are those of the committed table; `committed` settings are those that the pipeline had.
    """

    entry: str
    step: str
    number: int
    seed: int
    epochs: int | None
    committed: bool
    settings: dict[str, Any]
    value: float | None
    status: str
    best_epoch: int | None
    rungs: dict[int, float]
    cpu_seconds: float
    commit: str | None


def key_of(settings: dict[str, Any]) -> str:
    """One key for equal settings."""
    return sha256_json(settings)


def scores_by_settings(rows: list[Row]) -> dict[str, list[float]]:
    """Scores from the confirming seeds at the search's length, by `key_of` their settings."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row.value is not None and row.step == "confirm":
            found.setdefault(key_of(row.settings), []).append(row.value)
    return found


def chosen_key(rows: list[Row]) -> str:
    """`key_of` the settings of the least mean over the confirming seeds."""
    scores = scores_by_settings(rows)
    return min(scores, key=lambda key: statistics.fmean(scores[key]))
