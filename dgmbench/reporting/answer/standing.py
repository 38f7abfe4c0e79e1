"""How one family stands to the others in one number: which it clearly beats, and which clearly beat it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dgmbench.claims.comparison import times
from dgmbench.claims.evidence import Evidence, Score
from dgmbench.claims.families import timed
from dgmbench.metrics import declared
from dgmbench.reporting.answer.aspects import LIKELIHOOD, Aspect
from dgmbench.reporting.comparison.cells import Column
from dgmbench.reporting.comparison.paired import is_clear, like_with_like

if TYPE_CHECKING:
    from dgmbench.reporting.answer.answer import Family


@dataclass(frozen=True)
class Standing:
    """Of so many others that have the number, those that are clearly worse and those clearly better."""

    beaten: int
    beaten_by: int
    others: int

    @property
    def is_best(self) -> bool:
        """Clearly better than every other."""
        return self.others > 0 and self.beaten == self.others

    @property
    def is_worst(self) -> bool:
        """Clearly worse than every other."""
        return self.others > 0 and self.beaten_by == self.others

    @property
    def is_unbeaten(self) -> bool:
        """Clearly better than half of the others at least, and clearly worse than none."""
        half = self.others > 0 and 2 * self.beaten >= self.others
        return half and not self.is_best and self.beaten_by == 0


def standings(
    aspect: Aspect, column: Column, family: Family, families: Sequence[Family], evidence: Evidence
) -> Standing:
    """How `family` stands to the others in an aspect."""
    others = [other for other in families if other is not family and aspect.name in other.cells]
    if not aspect.best:
        return Standing(0, 0, len(others))
    return Standing(
        sum(_beats(aspect, column, family, other, evidence) for other in others),
        sum(_beats(aspect, column, other, family, evidence) for other in others),
        len(others),
    )


def _beats(aspect: Aspect, column: Column, first: Family, second: Family, evidence: Evidence) -> bool:
    """Whether the first is clearly better; likelihoods by the tightest bound that both have."""
    one, two = first.cells[aspect.name], second.cells[aspect.name]
    sign = 1 if column.direction == "higher" else -1
    if declared(column.metric).timing:
        # A fit too short for the clock has no ratio to others.
        if min(*one.values, *two.values) <= 0:
            return False
        more, less = (Score(f.row.model, f.cells[aspect.name]) for f in (first, second)[::sign])
        return timed(evidence, times(more, less, 1.0)).part().low > 0
    if aspect is LIKELIHOOD:
        pair = like_with_like(first.row, second.row, column.unit)
        return pair is not None and is_clear(*pair, sign)
    return is_clear(one, two, sign)
