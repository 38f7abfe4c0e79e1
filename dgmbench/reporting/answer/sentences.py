"""A sentence on each family of an answer: what it is clearly best and worst at, as far as the numbers go."""

from __future__ import annotations

from collections.abc import Sequence

from dgmbench.metrics import UNITS, declared
from dgmbench.reporting.answer.answer import Answer, Family
from dgmbench.reporting.answer.aspects import DOWNSTREAM, LIKELIHOOD, MEMORISATION, QUALITY, Aspect
from dgmbench.reporting.answer.standing import Standing
from dgmbench.reporting.comparison.short import PROBE, is_probe, short

# Of the only aspect with bounds: what is lower than a bound is proven to be worse, what is a bound is not.
_HIGHEST = "the highest of the exact values and bounds of the likelihood"
_LOWEST = "the lowest of the exact values and bounds of the likelihood"


def said_of(family: Family, answer: Answer) -> str:
    """What the numbers say of a family, without its name: `has the best samples (FID 1.5 ± 0.8).`"""
    if not family.cells:
        return f"left no numbers: {family.row.note or 'nothing was measured'}."
    if all(cell.n < 2 for cell in family.cells.values()):
        return f"has one seed, so that no difference is clear: {_values(family)}."
    there = [aspect for aspect in answer.aspects if aspect.name in family.standings]
    parts = [_ends(family, there), _unbeaten(family), _between(family), _copies(family)]
    return f"{'; '.join(part for part in parts if part) or 'is clearly separated from no other family'}."


def _values(family: Family) -> str:
    """What it has, for a reader to see where nothing can be told apart."""
    aspects = (LIKELIHOOD, QUALITY, DOWNSTREAM)
    there = [aspect for aspect in aspects if aspect.name in family.cells]
    return _listed([_with_value(aspect.name, family, aspect) for aspect in there])


def _ends(family: Family, aspects: Sequence[Aspect]) -> str:
    """Where it is clearly better or worse than every other, or its number is."""
    own = [(aspect, family.standings[aspect.name]) for aspect in aspects]
    best = [_with_value(a.best if s.is_best else _HIGHEST, family, a)
            for a, s in own if s.is_best or s.is_above_all]  # fmt: skip
    worst = [_with_value(a.worst if s.is_worst else _LOWEST, family, a)
             for a, s in own if s.is_worst or s.is_below_all]  # fmt: skip
    both = ", but ".join(_listed(part) for part in (best, worst) if part)
    return f"has {both}" if both else ""


def _unbeaten(family: Family) -> str:
    """Where no other is clearly better, though it is not alone at the top."""
    own = [aspect for aspect, standing in _main(family) if standing.is_unbeaten]
    said = _listed([_with_value(aspect.name, family, aspect) for aspect in own])
    return f"is not clearly beaten in {said}" if said else ""


def _between(family: Family) -> str:
    """Where it is at neither end: how many it clearly beats and how many it clearly loses to."""
    own = [(a, s) for a, s in _main(family) if not (s.is_at_an_end or s.is_unbeaten)]
    counts = [f"{_counts(s)} of {s.others} in {a.name}" for a, s in own if s.beaten or s.beaten_by]
    said = [f"clearly {_listed(counts)}"] if counts else []
    # A bound does not lose, but a reader sees that it is lower.
    unproven = [s for _, s in own if s.below > s.beaten_by]
    said += [f"its bound of the likelihood lies below {s.below} of {s.others} others" for s in unproven]
    return "; ".join(said)


def _counts(standing: Standing) -> str:
    """`beats 4 and loses to 3`; of none, nothing."""
    said = {"beats": standing.beaten, "loses to": standing.beaten_by}
    return " and ".join(f"{verb} {count}" for verb, count in said.items() if count)


def _copies(family: Family) -> str:
    """Samples nearer to training images than unseen images are: a hint of copying, no proof."""
    cell = family.cells.get(MEMORISATION.name)
    if cell is None or cell.widest is None or cell.mean + cell.widest >= 1:
        return ""
    return f"draws nearer to training images than unseen images lie ({short(cell)} of the distance)"


def _main(family: Family) -> list[tuple[Aspect, Standing]]:
    """What a model is judged by; costs are told only where they are at an end."""
    return [
        (aspect, family.standings[aspect.name])
        for aspect in (LIKELIHOOD, QUALITY, DOWNSTREAM)
        if aspect.name in family.standings
    ]


def _with_value(words: str, family: Family, aspect: Aspect) -> str:
    cell = family.cells[aspect.name]
    metric, unit = declared(cell.metric), UNITS[cell.unit]
    label = "" if metric.likelihood or unit else f"{metric.label} "
    probe = f", {PROBE}" * is_probe(cell)
    return f"{words} ({label}{short(cell)}{f' {unit}' if unit else ''}{probe})"


def _listed(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
