"""Which of two models is better: differences paired over test images, like compared with like.

The values of a pair are taken on the test images that both have, image by image, and the interval is over
trainings and test images (`dgmbench.statistics`). Where values by image are not at hand, the two models'
errors over test images count as independent; the interval is then too wide rather than too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dgmbench.metrics import declared
from dgmbench.metrics.likelihood import EXACT, with_most_draws
from dgmbench.reporting.comparison.cells import Cell, Column
from dgmbench.statistics import LEVEL, Interval, paired_difference, unpaired_difference

if TYPE_CHECKING:
    from dgmbench.reporting.comparison.table import Row

# Two likelihoods are compared on so many common test images, or more.
FEWEST = 10


def difference(first: Cell, second: Cell, level: float = LEVEL) -> Interval | None:
    """Of two cells in one unit; None for likelihoods that have no test images in common."""
    common = _common(first, second)
    if first.points is not None and second.points is not None and common is not None:
        one, two = [
            cell.points[:, np.isin(cell.rows, common)]
            for cell in (first, second)
            if cell.points is not None and cell.rows is not None
        ]
        found = paired_difference(one, two, level)
        whole = all(len(common) == values.shape[1] for values in (first.points, second.points))
        # Of all its images a model's records have the mean in full precision.
        return Interval(first.mean - second.mean, found.half) if whole else found
    if declared(first.metric).likelihood and first.images != second.images:
        return None
    return unpaired_difference(
        first.values or (first.mean,),
        second.values or (second.mean,),
        (first.std_error, second.std_error),
        level,
    )


def common_images(first: Cell, second: Cell) -> int:
    """How many test images two likelihoods share; 0 where they cannot be compared."""
    common = _common(first, second)
    if common is not None:
        return len(common)
    return (first.images or 0) if first.images == second.images else 0


def _common(first: Cell, second: Cell) -> np.ndarray | None:
    if first.rows is None or second.rows is None:
        return None
    common = np.intersect1d(first.rows, second.rows)
    return common if len(common) >= FEWEST or len(common) == len(first.rows) == len(second.rows) else None


def is_clear(leader: Cell, other: Cell, sign: int = 1, level: float = LEVEL) -> bool:
    """Whether `leader` lies above (`sign` 1) or below (-1) `other`, by the whole interval of both."""
    found = difference(leader, other, level)
    return found is not None and found.is_clear and sign * found.mean > 0


def like_with_like(first: Row, second: Row, unit: str) -> tuple[Cell, Cell] | None:
    """The cells by which two models' likelihoods are compared: the tightest bound that both have.

    One metric for both, or the exact value of one with any bound of the other; never two different bounds.
    Of those on common test images: with more than one seed each, the tightest, on most images. Importance
    sampling counts with the most draws that both have, however the others came out. None if there are none.
    """
    sign = -1 if unit == "bits_per_dim" else 1
    pairs = [
        (a, b)
        for a in first.bounds.get(unit, ())
        for b in second.bounds.get(unit, ())
        if (a.metric == b.metric or EXACT.name in (a.metric, b.metric)) and common_images(a, b)
    ]

    def rank(pair: tuple[Cell, Cell]) -> tuple[int, int, int, float]:
        seeds = min(2, *(cell.n for cell in pair))
        tightness = min(declared(cell.metric).tightness or 0 for cell in pair)
        return seeds, tightness, common_images(*pair), sign * sum(cell.mean for cell in pair)

    eligible = with_most_draws(_bound(pair) for pair in pairs)
    return max((pair for pair in pairs if _bound(pair) in eligible), key=rank, default=None)


def _bound(pair: tuple[Cell, Cell]) -> str:
    """The metric of a pair that bounds; the exact value where both are that."""
    return next((cell.metric for cell in pair if cell.metric != EXACT.name), EXACT.name)


def mark_best(column: Column, rows: Sequence[Row]) -> None:
    """Set `best` on the leading cell of a column if its difference from every other model's is clear of zero.

    In the column of headline likelihoods, models are compared `like_with_like`. One seed blocks the mark:
    nothing is known about its spread.
    """
    cells = [row.cells[column.key] for row in rows if column.key in row.cells]
    if column.direction not in ("higher", "lower") or len(cells) < 2:
        return
    sign = 1 if column.direction == "higher" else -1
    there = [row for row in rows if column.key in row.cells]
    leader = max(there, key=lambda row: sign * row.cells[column.key].mean)
    others = [row for row in there if row is not leader]
    leader.cells[column.key].best = all(_leads(column, leader, other, sign) for other in others)


def _leads(column: Column, leader: Row, other: Row, sign: int) -> bool:
    if not column.tightest:
        return is_clear(leader.cells[column.key], other.cells[column.key], sign)
    pair = like_with_like(leader, other, column.unit)
    return pair is not None and is_clear(*pair, sign)


def name_bounds(column: Column, rows: Sequence[Row]) -> bool:
    """Label each bound of a column with its kind if there are several kinds; returns whether there are.

    Exact values need no name.
    """
    cells = [row.cells[column.key] for row in rows if column.key in row.cells]
    bounds = [cell for cell in cells if cell.metric != EXACT.name]
    mixed = len({cell.metric for cell in bounds}) > 1
    for cell in bounds:
        cell.bound = declared(cell.metric).label if mixed else ""
    return mixed
