"""Seeds whose training failed: left out of means, and counted in the note of their row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dgmbench.metrics import declared
from dgmbench.reporting.records import FAILURES

if TYPE_CHECKING:
    from dgmbench.reporting.comparison.table import Row


def finished(records: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Of all records of one model, those of its seeds that finished; and what is left out, as a note.

    The note is `1 of 3 seeds diverged`, empty where nothing is left out. A metric that is not finite in some
    of these seeds is left out whole: the mean of the other seeds would flatter the model.
    """
    seeds = set(records["seed"])
    failed = {
        kind: set(records.loc[(records["metric"] == kind) & (records["value"] > 0), "seed"])
        for kind in FAILURES
    }
    notes = [f"{len(which)} of {len(seeds)} seeds {kind}" for kind, which in failed.items() if which]
    kept = records[~records["seed"].isin(set().union(*failed.values()))]
    lost = list(dict.fromkeys(kept.loc[~np.isfinite(kept["value"].astype(float)), "metric"]))
    notes += [f"{declared(str(metric)).label} not finite" for metric in lost]
    return kept[~kept["metric"].isin(lost)], ", ".join(notes)


def failure_notes(rows: Iterable[Row]) -> list[str]:
    """What failed seeds do to the means beside them, where there are any."""
    if any("diverged" in row.note or "collapsed" in row.note for row in rows):
        return ["Seeds that diverged or collapsed are left out of the means, which flatters the model."]
    return []
