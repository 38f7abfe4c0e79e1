"""What is known of a published figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Reference:
    """One published number for a (data set, view, model entry)."""

    dataset: str
    view: str
    model: str
    metric: str
    value: float
    uncertainty: float | None
    unit: str
    kind: str
    protocol: str
    source: str
    flag: Literal["V", "V2", "M"]


# What each flag adds to the source.
HOW_READ = {"V": "", "V2": " (as quoted by a later source)", "M": " (not yet checked against the paper)"}
