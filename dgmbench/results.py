"""The one table everything else is drawn from: its columns, its vocabulary, its file format."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, Unpack, get_args

from dgmbench.errors import DgmbenchError
from dgmbench.files import replacing
from dgmbench.metrics import UndeclaredMetricError, check
from dgmbench.terms import Kind

if TYPE_CHECKING:
    import pandas as pd


KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Record:
    """One measured number and all that is needed to read it.

    `metric` is declared in `dgmbench.metrics`, in this `unit`; `UndeclaredMetricError` otherwise.
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
        check(self.metric, self.unit)


class About(TypedDict):
    """What a record says of its number besides its name, value and error; see `Record`."""

    n: int
    unit: str
    kind: Kind
    split: NotRequired[str]
    seconds: NotRequired[float]


@dataclass(frozen=True)
class Origin:
    """What all records of one subject have in common."""

    dataset: str
    view: str
    model: str
    seed: int
    device: str

    def record(
        self, metric: str, value: float, std_error: float | None = None, **about: Unpack[About]
    ) -> Record:
        """A record of the subject; it is of the test split unless `about` says otherwise."""
        return Record(
            dataset=self.dataset,
            view=self.view,
            model=self.model,
            seed=self.seed,
            metric=metric,
            value=float(value),
            std_error=None if std_error is None else float(std_error),
            n=about["n"],
            unit=about["unit"],
            kind=about["kind"],
            split=about.get("split", "test"),
            seconds=about.get("seconds", 0.0),
            device=self.device,
        )


COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Record))


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records as CSV in the given order; floats as `repr`, so reading them back loses nothing."""
    with replacing(path) as aside, open(aside, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(record) for record in records)


def read_records(path: Path) -> pd.DataFrame:
    """Read a results CSV into a frame with the columns of `Record` (a missing `std_error` is NaN).

    Raises:
        ValueError: for a missing column, or what is no number in a column of numbers.
        DgmbenchError: for a metric that is not declared, or not in this unit.
    """
    # Only readers need pandas, which takes a second to import.
    import pandas as pd

    words: dict[str, Any] = dict.fromkeys(("dataset", "model", "unit"), str)
    numbers: dict[str, Any] = {"seed": int, "n": int, "value": float, "std_error": float}
    # A model may be called `nan` or `null`; only numbers may be missing.
    missing_numbers = {key: ["", "nan"] for key in ("value", "std_error", "seconds")}
    frame = pd.read_csv(path, dtype=words | numbers, keep_default_na=False, na_values=missing_numbers)
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise ValueError(f"{path}: columns {', '.join(missing)} are missing")
    try:
        for metric, unit in frame[["metric", "unit"]].drop_duplicates().itertuples(index=False):
            check(str(metric), str(unit))
    except UndeclaredMetricError as error:
        raise DgmbenchError(f"{path}: {error}") from error
    return frame[list(COLUMNS)]
