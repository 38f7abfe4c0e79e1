"""What the control of planted copies says of each score, for the columns and footnotes of a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dgmbench.reporting import vocabulary as words
from dgmbench.reporting.cells import FAILING, Column

CONTROL = "control/planted_copies/"
FLAGGED = "flagged_"
IDEAL = "copies_0"
# Percent of trials: noticed from so many on; false alarms up to so many are put up with (5 by design).
NOTICED, TOLERATED = 80.0, 20.0
_MOVED = {"shifted_copies": "all moved by a pixel"}
_HARMLESS = {"dropped_class": "a class left out", "noise": "noise"}


def planted_copies(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """How often each score raised the alarm on each case: columns metric, case, percent and n of samples.

    Empty where the control was not carried out.
    """
    own = frame["model"].astype(str).str.startswith(CONTROL) & (frame["dataset"] == dataset)
    rows = frame[own]
    cases = rows["model"].astype(str).str.removeprefix(CONTROL)
    flagged = rows["metric"].astype(str).str.startswith(FLAGGED)
    metrics = rows["metric"].astype(str).str.removeprefix(FLAGGED)
    return pd.DataFrame({"metric": metrics, "case": cases, "percent": rows["value"], "n": rows["n"]})[flagged]


def fails(planted: pd.DataFrame, metric: str) -> bool:
    """Whether a score misses copies, or one of copying is alarmed by what is none."""
    return bool(_missed(planted, metric) or _false(planted, metric))


def _missed(planted: pd.DataFrame, metric: str) -> list[str]:
    """The kinds of copies that go unnoticed, each with the percentage of trials in which it is noticed."""
    told = []
    for case, percent in _rates(planted, metric):
        share = case.removeprefix("copies_")
        name = _MOVED.get(case) or (f"{100 * float(share):g} %" if share != case and case != IDEAL else None)
        if name and percent < NOTICED:
            told.append(f"{name} ({percent:.0f} %)")
    return told


def _false(planted: pd.DataFrame, metric: str) -> list[str]:
    """What is no copy and alarms a score of copying; a Fréchet distance is right to be alarmed."""
    if metric.startswith("fid"):
        return []
    rates = [(name, percent) for case, percent in _rates(planted, metric) if (name := _HARMLESS.get(case))]
    return [f"{name} ({percent:.0f} %)" for name, percent in rates if percent > TOLERATED]


def _rates(planted: pd.DataFrame, metric: str) -> list[tuple[str, float]]:
    own = planted[planted["metric"] == metric]
    return [(str(case), float(value)) for case, value in zip(own["case"], own["percent"], strict=True)]


def copy_notes(columns: Sequence[Column], records: pd.DataFrame, planted: pd.DataFrame) -> list[str]:
    """Footnotes: what each failing score of the table missed, and how authentic held-out images are."""
    notes = []
    failing = [column for column in columns if column.failing]
    if failing:
        flags = "in brackets the share of trials in which it is noticed, at 5 % false alarms"
        notes.append(
            f"{FAILING} fails the control of planted copies among held-out gray images ({flags}): "
            + "; ".join(f"{column.label} {_told(planted, column.metric)}" for column in failing)
            + "."
        )
    return notes + _held_out(records)


def _told(planted: pd.DataFrame, metric: str) -> str:
    missed, false = _missed(planted, metric), _false(planted, metric)
    parts = [f"misses copies: {', '.join(missed)}"] if missed else []
    return " and ".join(parts + ([f"is alarmed by {', '.join(false)}"] if false else []))


def _held_out(records: pd.DataFrame) -> list[str]:
    """AuthPct of held-out images, which that of samples is to be read against."""
    told = []
    for metric in ("auth_pct", "auth_pct_domain"):
        name = metric.replace("auth_pct", "auth_pct_heldout")
        values = records.loc[records["metric"] == name, "value"]
        if len(values):
            low, high = float(values.min()), float(values.max())
            span = f"{low:.1f} %" if high - low < 0.05 else f"{low:.1f} to {high:.1f} %"
            told.append(f"{words.label(metric)}: {span}")
    return [f"Of held-out images so many are authentic: {'; '.join(told)}."] if told else []
