"""From comparisons and findings to what is judged of a claim: a verdict and a sentence with the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from dgmbench.claims.card import CONTROL_CHART, NOTHING, Judged
from dgmbench.claims.claim import VERDICTS, Verdict, combined, judge_any, judge_every
from dgmbench.claims.comparison import Comparison
from dgmbench.claims.evidence import Evidence
from dgmbench.reporting.findings import ControlFinding
from dgmbench.statistics import simultaneous

# One way in which a claim "there are two models such that" may hold: all comparisons of a case have to.
Case = Sequence[Comparison]
# Comparisons that a sentence spells out.
SPELT = 4


def every(comparisons: Case, view: str) -> Judged:
    """That every comparison holds. Any one contradicts, at the level that is simultaneous over all."""
    if not comparisons:
        return NOTHING
    level = simultaneous(len(comparisons))
    verdict = judge_every([each.part() for each in comparisons], [each.part(level) for each in comparisons])
    said = _spelt(comparisons)
    return Judged(verdict, said, *_rows_of(comparisons), view=view, decider=_lacking(comparisons))


def some(cases: Sequence[Case], view: str) -> Judged:
    """That some case holds. Any one supports, at the level that is simultaneous over all that are looked at.

    The two ways round of one pair of models count once, as the interval of a difference has two sides.
    """
    if not cases:
        return NOTHING
    pairs = len({tuple(frozenset(names) for names in _rows_of(case)) for case in cases})
    level = simultaneous(pairs)
    parts = [[each.part(level) for each in case] for case in cases]
    verdict, shown = judge_any(parts, [[each.part() for each in case] for case in cases])
    best = max(shown or range(len(cases)), key=lambda place: _clearness(cases[place], level))
    counted = f"{len(shown) or 'None'} of {pairs} pairs clear at the level corrected for as many (Bonferroni)"
    lead = "" if shown else "Nearest to it: "
    said = f"{lead}{', yet '.join(each.words for each in cases[best])}. {counted}."
    said = said[0].upper() + said[1:]
    return Judged(verdict, said, *_rows_of(cases[best]), view=view, decider=_lacking(cases[best]))


def of_controls(evidence: Evidence, *controls: str) -> Judged:
    """What controls found, combined; those that were not carried out do not count."""
    found = [finding for finding in map(evidence.finding, controls) if finding is not None]
    return NOTHING if not found else _of_findings(evidence, found)


def together(first: Judged, second: Judged) -> Judged:
    """Two kinds of evidence of one claim, each if there is any; the picture is the second's."""
    there = [judged for judged in (first, second) if judged.statistic]
    if len(there) < 2:
        return there[0] if there else NOTHING
    return Judged(
        combined([first.verdict, second.verdict]),
        f"{first.statistic} {second.statistic}",
        _once((*first.models, *second.models)),
        _once((*first.metrics, *second.metrics)),
        first.view or second.view,
        second.picture or first.picture,
        second.pictured or first.pictured,
        first.decider or second.decider,
    )


def _rows_of(comparisons: Case) -> tuple[tuple[str, ...], tuple[str, ...]]:
    models = [model for each in comparisons for model in each.models]
    return _once(models), _once(metric for each in comparisons for metric in each.metrics)


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(str, names)))


def _lacking(comparisons: Case) -> str:
    """What would make the intervals known, empty if all are."""
    return "; ".join(_once(each.lacks for each in comparisons if not each.part().is_known))


def _clearness(case: Case, level: float) -> float:
    """How far the least clear comparison of a case lies above zero, in halves of its interval."""
    parts = [each.part(level) for each in case]
    return min(part.mean / part.half if part.half else math.copysign(math.inf, part.mean) for part in parts)


def _spelt(comparisons: Case) -> str:
    """The comparisons in words; the least clear ones where there are many."""
    ordered = sorted(comparisons, key=lambda each: each.part().low)
    shown = ordered[:SPELT] if len(comparisons) > SPELT else comparisons
    more = len(comparisons) - len(shown)
    said = "; ".join(each.words for each in shown)
    return said[0].upper() + said[1:] + (f"; {more} comparisons are clearer." if more else ".")


def _of_findings(evidence: Evidence, found: Sequence[ControlFinding]) -> Judged:
    prefixes = tuple(finding.prefix for finding in found)
    frame = evidence.frame
    own = frame[(frame["dataset"] == evidence.dataset) & frame["model"].astype(str).str.startswith(prefixes)]
    return Judged(
        combined([_verdict(finding) for finding in found]),
        " ".join(finding.sentence for finding in found),
        _once(own["model"]),
        _once(own["metric"]),
        picture=CONTROL_CHART,
        pictured=found[0].control,
    )


def _verdict(finding: ControlFinding) -> Verdict:
    return next(verdict for verdict in VERDICTS if verdict == finding.outcome)
