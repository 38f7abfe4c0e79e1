"""The two files of the regression check, read so that a damaged one is never taken for a regression."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from dgmbench.errors import SettingsError
from dgmbench.files import read_object, write_json
from dgmbench.reporting.baseline.regression import FORMAT, Baseline, make_baseline
from dgmbench.reporting.records import headline_records
from dgmbench.results import read_records

_MAY_BE_MISSING = ("value", "std_error")


def read_results(path: Path) -> pd.DataFrame:
    """The headline records of a report.

    Raises:
        SettingsError: if there is no report yet, or the file is empty, cut off or in conflict, or holds a
            result twice.
    """
    if not path.exists():
        raise SettingsError(f"there is no {path} yet; `dvc repro` writes it")
    again = "`dvc repro --force-downstream report` writes it again"
    try:
        _refuse_conflict(path)
        frame = read_records(path)
        kept = headline_records(frame)
    except ValueError as error:
        raise SettingsError(f"{path} is damaged ({_gist(error)}); {again}") from error
    needed = frame.drop(columns=list(_MAY_BE_MISSING))
    if frame.empty or needed.isna().any(axis=None) or not path.read_bytes().endswith(b"\n"):
        raise SettingsError(f"{path} is cut off after {len(frame)} records; {again}")
    return kept


def read_baseline(path: Path) -> Baseline:
    """The baseline of a report.

    Raises:
        SettingsError: if there is none, it is of another format, damaged or in conflict, or holds a number
            that is not finite, or no model at all: nothing would be worse than that.
    """
    if not path.exists():
        raise SettingsError(f"{path} is missing; make it from a run that you trust: `make baseline`")
    again = f"`git checkout {path}` brings back the committed one, `make baseline` makes it anew"
    try:
        _refuse_conflict(path)
        baseline = read_object(path)
    except ValueError as error:
        raise SettingsError(f"{path} is damaged ({_gist(error)}); {again}") from error
    if baseline.get("format") != FORMAT:
        raise SettingsError(f"{path} is not a baseline of format {FORMAT}; {again}")
    _refuse_infinite(baseline, str(path))
    if not _well_formed(baseline):
        raise SettingsError(f"{path} is no baseline of ours; {again}")
    return baseline


def write_baseline(frame: pd.DataFrame, path: Path) -> None:
    """Make the records the new baseline.

    Raises:
        SettingsError: if a mean is not finite; the old baseline stays.
    """
    baseline = make_baseline(frame)
    _refuse_infinite(baseline, "the results")
    write_json(path, baseline)


def _refuse_conflict(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if any(line.startswith(("<<<<<<< ", ">>>>>>> ")) for line in text.splitlines()):
        raise ValueError("it holds the conflict markers of a merge")


def _gist(error: ValueError) -> str:
    return " ".join(str(error).split())


def _refuse_infinite(baseline: dict[str, Any], where: str) -> None:
    for place, number in _numbers(baseline):
        if not math.isfinite(number):
            raise SettingsError(
                f"{where}: {place} is {number}; a baseline of it would hide every later regression"
            )


def _numbers(value: Any, place: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _numbers(part, f"{place} {name}".strip())
    elif isinstance(value, float):
        yield place, value


def _well_formed(baseline: dict[str, Any]) -> bool:
    try:
        return any(baseline["datasets"].values()) and all(
            {"mean", "sd", "n", "direction"} <= summary.keys()
            for models in baseline["datasets"].values()
            for entry in models.values()
            for summary in entry["metrics"].values()
        )
    except (AttributeError, KeyError):
        return False
