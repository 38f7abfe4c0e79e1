"""What the control of planted copies says of each score, in the footnotes of a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dgmbench.claims.metric_trust import is_of_copying, tried_as, trust
from dgmbench.metrics import Topic, declared
from dgmbench.reporting.comparison.cells import FAILING, Column


def copy_notes(columns: Sequence[Column], records: pd.DataFrame, planted: pd.DataFrame) -> list[str]:
    """Footnotes: what each failing score of the table missed, and how authentic held-out images are."""
    notes = []
    failing = [column for column in columns if column.failing]
    if failing:
        trials = int(planted["n"].max())
        flags = f"in brackets the share of {trials:,} trials in which it is noticed, at 5 % false alarms"
        notes.append(
            f"{FAILING} contradicted by the control of planted copies among held-out gray images ({flags}): "
            + "; ".join(f"{column.label} {_failures(planted, column.metric)}" for column in failing)
            + "."
        )
    undecided = [column.label for column in columns if column.trust == "undecided"]
    if undecided:
        notes.append(f"The control of planted copies leaves undecided: {', '.join(undecided)}.")
    return notes + _untried(columns, planted) + _held_out(records)


def _untried(columns: Sequence[Column], planted: pd.DataFrame) -> list[str]:
    """The scores of samples that the control does not test."""
    tried = set(planted["metric"])
    ours = (Topic.QUALITY, Topic.INCEPTION, Topic.MEMORISATION)
    untried = [column.label for column in columns if declared(column.metric).topic in ours
               and tried_as(column.metric) not in tried]  # fmt: skip
    return [f"No control has tried: {', '.join(untried)}."] if tried and untried else []


def _failures(planted: pd.DataFrame, metric: str) -> str:
    found = trust(planted, metric)
    what = "misses copies" if is_of_copying(declared(metric)) else "misses"
    parts = [f"{what}: {', '.join(found.missed)}"] if found.missed else []
    if found.false_alarms:
        parts.append(f"is alarmed by {', '.join(found.false_alarms)}")
    return " and ".join(parts)


def _held_out(records: pd.DataFrame) -> list[str]:
    """AuthPct of held-out images, the reference for that of samples."""
    found = []
    for metric in ("auth_pct", "auth_pct_domain"):
        name = metric.replace("auth_pct", "auth_pct_heldout")
        values = records.loc[records["metric"] == name, "value"]
        if len(values):
            low, high = float(values.min()), float(values.max())
            span = f"{low:.1f} %" if high - low < 0.05 else f"{low:.1f} to {high:.1f} %"
            found.append(f"{declared(metric).label}: {span}")
    return [f"Of held-out images so many are authentic: {'; '.join(found)}."] if found else []
