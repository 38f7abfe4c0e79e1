"""The one table everything else is drawn from: its columns, its vocabulary, its file format."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from dgmbench.files import replacing
from dgmbench.terms import Kind

KINDS: tuple[str, ...] = get_args(Kind)
UNITS = ("nats", "bits_per_dim", "percent", "seconds", "images_per_second", "1")


@dataclass(frozen=True)
class Record:
    """One measured number and all that is needed to read it.

    `std_error` is the standard error over the `n` items the value averages (None where it has none);
    `seconds` is what measuring took and `device` where; `kind` says what sort of bound the value is.
    """

    dataset: str
    view: str
    model: str
    seed: int
    metric: str
    value: float
    std_error: float | None
    n: int
    unit: str
    kind: str
    split: str
    seconds: float
    device: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.metric}: kind {self.kind!r} is not one of {', '.join(KINDS)}")
        if self.unit not in UNITS:
            raise ValueError(f"{self.metric}: unit {self.unit!r} is not one of {', '.join(UNITS)}")


COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Record))
# What differs between two runs of the same commit on the same machine.
TIMING_METRICS = ("training_seconds", "sampling_rate")


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records as CSV in the given order; floats as `repr`, so reading them back loses nothing."""
    with replacing(path) as aside, open(aside, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(record) for record in records)


def read_records(path: Path) -> pd.DataFrame:
    """Read a results CSV into a frame with the columns of `Record` (a missing `std_error` is NaN).

    Raises ValueError for a missing column, or what is no number in a column of numbers.
    """
    words: dict[str, Any] = dict.fromkeys(("dataset", "model", "unit"), str)
    numbers: dict[str, Any] = {"seed": int, "n": int, "value": float, "std_error": float}
    # A model may be called `nan` or `null`; only numbers may be missing.
    missing_numbers = {key: ["", "nan"] for key in ("value", "std_error", "seconds")}
    frame = pd.read_csv(path, dtype=words | numbers, keep_default_na=False, na_values=missing_numbers)
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise ValueError(f"{path}: columns {', '.join(missing)} are missing")
    return frame[list(COLUMNS)]
