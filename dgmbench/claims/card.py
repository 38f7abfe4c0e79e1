"""A claim of the lecture with its verdict on one data set, as the report shows it."""

from __future__ import annotations

from dataclasses import dataclass

from dgmbench.claims.claim import Verdict


@dataclass(frozen=True)
class Card:
    """What the numbers of a run say of a claim.

    Args:
        name: of the claim, an identifier.
        dataset: whose numbers decide.
        text: the claim in one sentence.
        source: the slide or paper that makes it.
        hypothesis: what is compared and by which threshold; it was written before the numbers were seen.
        verdict: what the interval says.
        statistic: one sentence with the numbers and their interval; empty where there are none.
        models: entries whose rows hold the numbers.
        metrics: metrics of these rows.
        picture: role of the figure that shows it, empty for none.
        decider: what would decide an undecided claim; empty otherwise.
    """

    name: str
    dataset: str
    text: str
    source: str
    hypothesis: str
    verdict: Verdict
    statistic: str
    models: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    picture: str = ""
    decider: str = ""
