"""Orders of two models that the literature reports, against ours: an interval of the difference each.

Two models are compared by the tightest bound that both have, on the test images that both have, see
`paired`. The interval is two-sided at 95 %, over trainings and test images. An order is undecided where the
interval holds zero, and with one seed, where there is no interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dgmbench.claims.claim import judge
from dgmbench.metrics import declared
from dgmbench.metrics.likelihood import EXACT
from dgmbench.reporting.comparison.cells import Cell, decimals, number, spread
from dgmbench.reporting.comparison.paired import common_images, difference, like_with_like
from dgmbench.statistics import Interval

if TYPE_CHECKING:
    from dgmbench.reporting.comparison.table import Table


def order_notes(table: Table, orders: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence on each order whose models both are in the table and have a bound in common.

    orders: mappings of `better`, `worse` (model entries) and `source`.
    """
    rows = {row.model: row for row in table.rows}
    sentences = []
    for order in orders:
        better, worse = rows.get(order["better"]), rows.get(order["worse"])
        cells = None if better is None or worse is None else like_with_like(better, worse, "nats")
        found = difference(*cells) if cells is not None else None
        if cells is not None and found is not None:
            sentences.append(_sentence(order, *cells, found))
    return sentences


def _sentence(order: Mapping[str, Any], high: Cell, low: Cell, found: Interval) -> str:
    if found.is_known:
        digits = decimals(found.half, high.unit)
        interval = f" ± {spread(found.half, high.unit)} nats over {_over(high, low)}"
    else:
        digits = decimals(0.0, high.unit)
        interval = " nats with one seed, so without an interval over trainings"
    return (
        f"{order['better']} ({_shown(high)}) above {order['worse']} ({_shown(low)}): {judge([found])} "
        f"(difference {number(found.mean, digits)}{interval}; {order['source']})."
    )


def _over(high: Cell, low: Cell) -> str:
    """What an interval is over, and how many images of those of the two that is, if not all."""
    images = common_images(high, low)
    if high.std_error is None and low.std_error is None:
        return "trainings"
    some = f"the {images:,} " if images < max(high.images or 0, low.images or 0) else ""
    return f"trainings and {some}test images" + (" that both have" if some else "")


def _shown(cell: Cell) -> str:
    """A cell's number with the name of its bound: `IS-5000 ≥ −22.14 ± 0.39`."""
    return cell.plain if cell.metric == EXACT.name else f"{declared(cell.metric).label} {cell.plain}"
