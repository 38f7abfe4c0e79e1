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
from dgmbench.statistics import simultaneous

if TYPE_CHECKING:
    from dgmbench.reporting.answer.answer import Family


@dataclass(frozen=True)
class Standing:
    """Of so many others that have the number, those that are clearly worse and those clearly better.

    A model with a lower bound alone may be better than its bound, so that in likelihood it never counts as
    beaten. above, below: others whose number, be it a value or a bound, is clearly worse or better.
    """

    beaten: int
    beaten_by: int
    others: int
    above: int = 0
    below: int = 0

    @property
    def is_best(self) -> bool:
        """Clearly better than every other."""
        return self.others > 0 and self.beaten == self.others

    @property
    def is_worst(self) -> bool:
        """Clearly worse than every other."""
        return self.others > 0 and self.beaten_by == self.others

    @property
    def is_above_all(self) -> bool:
        """Its number is clearly better than every other, some of which are bounds and prove nothing."""
        return self.others > 0 and self.above == self.others and not self.is_best

    @property
    def is_below_all(self) -> bool:
        """Its number, a bound, is clearly worse than every other."""
        return self.others > 0 and self.below == self.others and not self.is_worst

    @property
    def is_at_an_end(self) -> bool:
        """Whether its number is the first or the last of all."""
        return self.is_best or self.is_worst or self.is_above_all or self.is_below_all

    @property
    def is_unbeaten(self) -> bool:
        """Clearly better than half of the others at least, and no number of theirs is clearly better."""
        half = self.others > 0 and 2 * self.beaten >= self.others
        return half and not self.is_at_an_end and self.below == 0


def standings(
    aspect: Aspect, column: Column, family: Family, families: Sequence[Family], evidence: Evidence
) -> Standing:
    """How `family` stands to the others in an aspect, all comparisons together with 95 %."""
    others = [other for other in families if other is not family and aspect.name in other.cells]
    if not aspect.best:
        return Standing(0, 0, len(others))
    level = simultaneous(len(others))
    above = [o for o in others if _is_above(aspect, column, family, o, evidence, level)]
    below = [o for o in others if _is_above(aspect, column, o, family, evidence, level)]
    return Standing(
        sum(_is_proven(aspect, column, family, other) for other in above),
        sum(_is_proven(aspect, column, other, family) for other in below),
        len(others),
        len(above),
        len(below),
    )


def _is_proven(aspect: Aspect, column: Column, winner: Family, loser: Family) -> bool:
    """Whether what lies lower is also worse: not where the loser's number is a bound."""
    if aspect is not LIKELIHOOD:
        return True
    pair = like_with_like(winner.row, loser.row, column.unit)
    return pair is not None and pair[1].kind != "lower_bound"


def _is_above(
    aspect: Aspect, column: Column, first: Family, second: Family, evidence: Evidence, level: float
) -> bool:
    """Whether the first's number is clearly better; likelihoods by the tightest bound that both have."""
    one, two = first.cells[aspect.name], second.cells[aspect.name]
    sign = 1 if column.direction == "higher" else -1
    if declared(column.metric).timing:
        # A fit too short for the clock has no ratio to others.
        if min(*one.values, *two.values) <= 0:
            return False
        more, less = (Score(f.row.model, f.cells[aspect.name]) for f in (first, second)[::sign])
        return timed(evidence, times(more, less, 1.0)).part(level).low > 0
    if aspect is LIKELIHOOD:
        pair = like_with_like(first.row, second.row, column.unit)
        return pair is not None and is_clear(*pair, sign, level)
    return is_clear(one, two, sign, level)
