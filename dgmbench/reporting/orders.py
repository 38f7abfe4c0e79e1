"""Orders of two models that the literature reports, against ours: an interval of the difference each.

The interval is Welch's, two-sided at 95 %: it speaks about retraining both models with other seeds. Without a
second seed there is none, and the order counts as not separated, as it does where the interval holds zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import stdtrit

from dgmbench.reporting.cells import CONFIDENCE, decimals, number

if TYPE_CHECKING:
    from dgmbench.reporting.tables import Row, Table

HEADLINE = "log_likelihood [nats]"
Verdict = Literal["as published", "reversed", "not separated"]


@dataclass(frozen=True)
class Difference:
    """Mean of one model's figures minus another's, and the half-width of its interval (None: one seed)."""

    mean: float
    half_width: float | None

    @property
    def verdict(self) -> Verdict:
        """What it says of the claim that it is positive."""
        if self.half_width is None or abs(self.mean) <= self.half_width:
            return "not separated"
        return "as published" if self.mean > 0 else "reversed"


def difference(better: Sequence[float], worse: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """Of the means of two samples of seeds, with the interval of Welch (1947).

    Equal values throughout leave an interval of no width. Raises ValueError on an empty sample.
    """
    if not better or not worse:
        raise ValueError("a difference needs at least one value on either side")
    mean = float(np.mean(better) - np.mean(worse))
    if min(len(better), len(worse)) < 2:
        return Difference(mean, None)
    errors = [float(np.var(values, ddof=1)) / len(values) for values in (better, worse)]
    total = sum(errors)
    if total == 0.0:
        return Difference(mean, 0.0)
    sizes = (len(better), len(worse))
    freedom = total**2 / sum(error**2 / (size - 1) for error, size in zip(errors, sizes, strict=True))
    return Difference(mean, float(stdtrit(freedom, 0.5 + confidence / 2)) * math.sqrt(total))


def order_notes(table: Table, orders: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence on each order whose models both are in the table with a likelihood of the same images.

    orders: mappings of `better`, `worse` (model entries) and `source`.
    """
    rows = {row.model: row for row in table.rows}
    told = []
    for order in orders:
        better, worse = rows.get(order["better"]), rows.get(order["worse"])
        if better is not None and worse is not None and _comparable(better, worse):
            told.append(_sentence(better, worse, str(order["source"])))
    return told


def _comparable(better: Row, worse: Row) -> bool:
    high, low = better.cells.get(HEADLINE), worse.cells.get(HEADLINE)
    return high is not None and low is not None and high.images == low.images


def _sentence(better: Row, worse: Row, source: str) -> str:
    high, low = better.cells[HEADLINE], worse.cells[HEADLINE]
    found = difference(high.values, low.values)
    digits = decimals(found.half_width or 0.0, high.unit)
    spread = "" if found.half_width is None else f" ± {number(found.half_width, digits)}"
    verdict = found.verdict
    one_seed = ", of one seed" if found.half_width is None else ""
    return (
        f"{better.model} ({high.text}) above {worse.model} ({low.text}): {verdict} "
        f"(difference {number(found.mean, digits)}{spread} nats{one_seed}; {source})."
    )
