"""What the control of planted copies says of each score, for the columns and footnotes of a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dgmbench.metrics import Topic, declared
from dgmbench.reporting.comparison.cells import FAILING, Column

CONTROL = "control/planted_copies/"
FLAGGED = "flagged_"
IDEAL = "copies_0"
UNBIASED = "_infinity"
# Percent of trials: noticed from so many on; false alarms up to so many are put up with (5 by design).
NOTICED, TOLERATED = 80.0, 20.0
_MOVED = {"shifted_copies": "all moved by a pixel"}
# What is no copy: it must not alarm a score of copying, and spoils samples for those scores of quality.
_AMISS = {"dropped_class": "a class left out", "noise": "noise"}
_ALL_COPIED = "copies_1"
# What each score of quality has to notice. A distance stands for all of quality, its parts for theirs.
_OUGHT = {
    "fid": (_ALL_COPIED, "dropped_class", "noise"),
    "kid": (_ALL_COPIED, "dropped_class", "noise"),
    "precision": ("noise",),
    "density": ("noise",),
    "recall": ("dropped_class",),
    "coverage": ("dropped_class", "noise"),
    "class_histogram_distance": ("dropped_class",),
}


def planted_copies(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """How often each score raised the alarm on each case: columns metric, case, percent and n of trials.

    Empty where the control was not carried out.
    """
    own = frame["model"].astype(str).str.startswith(CONTROL) & (frame["dataset"] == dataset)
    rows = frame[own]
    cases = rows["model"].astype(str).str.removeprefix(CONTROL)
    flagged = rows["metric"].astype(str).str.startswith(FLAGGED)
    metrics = rows["metric"].astype(str).str.removeprefix(FLAGGED)
    return pd.DataFrame({"metric": metrics, "case": cases, "percent": rows["value"], "n": rows["n"]})[flagged]


def fails(planted: pd.DataFrame, metric: str) -> bool:
    """Whether a score misses what it is to notice, or one of copying is alarmed by what is no copy.

    A distance without bias, which the control has too few images for, fails where the distance does.
    """
    metric = metric.removesuffix(UNBIASED)
    return bool(_missed(planted, metric) or _false(planted, metric))


def _ought(metric: str) -> tuple[str, ...] | None:
    """The cases that a score of quality has to notice; None for a score of copying."""
    return next((cases for name, cases in _OUGHT.items() if metric.startswith(name)), None)


def _missed(planted: pd.DataFrame, metric: str) -> list[str]:
    """What goes unnoticed, each with the percentage of trials in which it is noticed."""
    ought = _ought(metric)
    told = []
    for case, percent in _rates(planted, metric):
        name = _copied(case) if ought is None else _spoilt(case) if case in ought else None
        if name and percent < NOTICED:
            told.append(f"{name} ({percent:.0f} %)")
    return told


def _copied(case: str) -> str | None:
    """Words for a case of copies; None for another."""
    share = case.removeprefix("copies_")
    return _MOVED.get(case) or (f"{100 * float(share):g} %" if share != case and case != IDEAL else None)


def _spoilt(case: str) -> str:
    return "samples that are all copies" if case == _ALL_COPIED else _AMISS[case]


def _false(planted: pd.DataFrame, metric: str) -> list[str]:
    """What is no copy and alarms a score of copying."""
    if _ought(metric) is not None:
        return []
    rates = [(name, percent) for case, percent in _rates(planted, metric) if (name := _AMISS.get(case))]
    return [f"{name} ({percent:.0f} %)" for name, percent in rates if percent > TOLERATED]


def _rates(planted: pd.DataFrame, metric: str) -> list[tuple[str, float]]:
    own = planted[planted["metric"] == metric]
    return [(str(case), float(value)) for case, value in zip(own["case"], own["percent"], strict=True)]


def copy_notes(columns: Sequence[Column], records: pd.DataFrame, planted: pd.DataFrame) -> list[str]:
    """Footnotes: what each failing score of the table missed, and how authentic held-out images are."""
    notes = []
    failing = [column for column in columns if column.failing]
    if failing:
        trials = int(planted["n"].max())
        flags = f"in brackets the share of {trials:,} trials in which it is noticed, at 5 % false alarms"
        notes.append(
            f"{FAILING} fails the control of planted copies among held-out gray images ({flags}): "
            + "; ".join(f"{column.label} {_told(planted, column.metric)}" for column in failing)
            + "."
        )
    return notes + _untried(columns, planted) + _held_out(records)


def _untried(columns: Sequence[Column], planted: pd.DataFrame) -> list[str]:
    """The scores of samples that the control has not put to the test."""
    tried = set(planted["metric"])
    ours = (Topic.QUALITY, Topic.INCEPTION, Topic.MEMORISATION)
    untried = [column.label for column in columns if declared(column.metric).topic in ours
               and column.metric.removesuffix(UNBIASED) not in tried]  # fmt: skip
    return [f"No control has tried: {', '.join(untried)}."] if tried and untried else []


def _told(planted: pd.DataFrame, metric: str) -> str:
    metric = metric.removesuffix(UNBIASED)
    missed, false = _missed(planted, metric), _false(planted, metric)
    what = "misses copies" if _ought(metric) is None else "misses"
    parts = [f"{what}: {', '.join(missed)}"] if missed else []
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
            told.append(f"{declared(metric).label}: {span}")
    return [f"Of held-out images so many are authentic: {'; '.join(told)}."] if told else []
