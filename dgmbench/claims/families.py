"""Comparisons of families that several claims make: by a score of a view's tables, and by time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from dgmbench.claims.card import NOTHING, Judged
from dgmbench.claims.comparison import LOAD, Comparison, incomparable, lower, times
from dgmbench.claims.evidence import VIEWS, Evidence, Score
from dgmbench.claims.judging import every

# An order of magnitude: what the claims on the speed of sampling mean by efficient and by slow.
MAGNITUDE = 10.0
RATE = "sampling_rate [images_per_second]"
# What hypotheses on timings say, and what would decide them.
TIMING = f"Timings compare within one run; their intervals are widened by a factor of {LOAD:g} for load."
UNHURRIED = "timings on an idle machine, or of larger images, which a PixelRNN draws pixel by pixel"
SECONDS = "training_seconds [seconds]"


def meeting(evidence: Evidence, key: str, *groups: Sequence[str]) -> tuple[str, list[list[Score]]] | None:
    """The first view in which every group of families has a number in a column, and these numbers.

    Numbers of two views are never compared.
    """
    for view in VIEWS:
        found = [evidence.scores(view, group, key) for group in groups]
        if all(found):
            return view, found
    return None


def every_where_met(
    evidence: Evidence,
    key: str,
    groups: Sequence[Sequence[str]],
    compared: Callable[..., Sequence[Comparison]],
) -> Judged:
    """That every comparison holds in the first view where all groups of families have a number in a column.

    compared: the comparisons, given the scores of each group.
    """
    found = meeting(evidence, key, *groups)
    if found is None:
        return NOTHING
    view, scores = found
    return every(compared(*scores), view)


def pairs_below(low: Sequence[Score], high: Sequence[Score]) -> list[Comparison]:
    """That each of the first scores lies below each of the others."""
    return [lower(first, second) for first, second in product(low, high)]


def pairs_faster(
    evidence: Evidence, fast: Sequence[Score], slow: Sequence[Score], factor: float = MAGNITUDE
) -> list[Comparison]:
    """That each of the first samples at `factor` times the rate of each of the others."""
    return [timed(evidence, times(first, second, factor)) for first, second in product(fast, slow)]


def timed(evidence: Evidence, found: Comparison) -> Comparison:
    """The same, with its interval unknown where the two were not measured on one kind of device."""
    devices = evidence.devices(found.metrics[0], *found.models)
    if len(devices) < 2:
        return found
    why = f"measured on {' and '.join(sorted(devices))}"
    return incomparable(found, why, "timings of both on one kind of device")
