"""Orders of two models that the literature reports, against ours: an interval of the difference each.

The interval is Welch's, two-sided at 95 %: it speaks about retraining both models with other seeds. Without a
second seed there is none, and the order is not judged; where the interval holds zero it is not separated.
Two models that both have an importance-sampled bound of the same images are compared by that: their ELBOs
may be loose by different amounts. All others are compared by their headline figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import stdtrit

from dgmbench.reporting.cells import CONFIDENCE, Cell, decimals, number
from dgmbench.reporting.inversions import HEADLINE

if TYPE_CHECKING:
    from dgmbench.reporting.tables import Row, Table

Verdict = Literal["as published", "reversed", "not separated", "not judged"]


@dataclass(frozen=True)
class Difference:
    """Mean of one model's figures minus another's, and the half-width of its interval (None: one seed)."""

    mean: float
    half_width: float | None

    @property
    def verdict(self) -> Verdict:
        """What it says of the claim that it is positive."""
        if self.half_width is None:
            return "not judged"
        if abs(self.mean) <= self.half_width:
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
    """A sentence on each order whose models both are in the table with likelihoods of the same images.

    orders: mappings of `better`, `worse` (model entries) and `source`.
    """
    rows = {row.model: row for row in table.rows}
    told = []
    for order in orders:
        better, worse = rows.get(order["better"]), rows.get(order["worse"])
        cells = _comparable(better, worse) if better is not None and worse is not None else None
        if cells is not None:
            told.append(_sentence(order, *cells))
    return told


def _comparable(better: Row, worse: Row) -> tuple[Cell, Cell] | None:
    """The pair's cells in the first column that both have, of the same images."""
    sampled = [
        key for key in better.cells if key.startswith("log_likelihood_is_") and key.endswith(" [nats]")
    ]
    for key in [*sampled, HEADLINE]:
        high, low = better.cells.get(key), worse.cells.get(key)
        if high is not None and low is not None and high.images == low.images:
            return high, low
    return None


def _sentence(order: Mapping[str, Any], high: Cell, low: Cell) -> str:
    found = difference(high.values, low.values)
    digits = decimals(found.half_width or 0.0, high.unit)
    spread = "" if found.half_width is None else f" ± {number(found.half_width, digits)}"
    one_seed = " with one seed, so without an interval over seeds" if found.half_width is None else ""
    return (
        f"{order['better']} ({high.text}) above {order['worse']} ({low.text}): {found.verdict} "
        f"(difference {number(found.mean, digits)}{spread} nats{one_seed}; {order['source']})."
    )
