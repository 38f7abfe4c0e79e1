"""A claim of the lecture, and the card with its verdict on one data set, as the report shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dgmbench.claims.claim import Verdict

if TYPE_CHECKING:
    from dgmbench.claims.evidence import Evidence

# What would decide a claim whose numbers are there but not clear.
CLEARER = "more seeds or test images: the interval of a difference holds the threshold"
# The role of a control's chart; `Card.pictured` is then the control.
CONTROL_CHART = "control"


@dataclass(frozen=True)
class Card:
    """What the numbers of a run say of a claim.

    Args:
        name: of the claim, an identifier.
        dataset: whose numbers decide.
        text: the claim in one sentence.
        source: the slide or paper that makes it.
        hypothesis: what is compared and by which threshold; `lecture` says what had been seen before.
        verdict: what the interval says.
        statistic: one sentence with the numbers and their interval; empty where there are none.
        models: entries whose rows hold the numbers.
        metrics: metrics of these rows.
        picture: role of the figure that shows it, empty for none.
        decider: what would decide an undecided claim; empty otherwise.
        view: that the numbers are of; empty where they are of no single view.
        pictured: entry or control that the picture is of; empty for a picture of a whole view.
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
    view: str = ""
    pictured: str = ""


@dataclass(frozen=True)
class Judged:
    """What evidence says of a claim; the fields are those of `Card`.

    picture, decider: in the place of the claim's own.
    """

    verdict: Verdict
    statistic: str = ""
    models: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    view: str = ""
    picture: str = ""
    pictured: str = ""
    decider: str = ""


NOTHING = Judged("undecided")


@dataclass(frozen=True)
class Claim:
    """A statement of the lecture and how it is judged.

    Args:
        name, text, source, hypothesis, picture: as in `Card`.
        judge: the verdict on what a run left.
        decider: what would decide the claim where a run has none of its evidence.
        unclear: what would decide it where the evidence is not clear.
    """

    name: str
    text: str
    source: str
    hypothesis: str
    judge: Callable[[Evidence], Judged]
    decider: str
    picture: str = ""
    unclear: str = CLEARER

    def card(self, evidence: Evidence) -> Card:
        """The card of the data set that the evidence is of."""
        found = self.judge(evidence)
        missing = found.decider or (self.unclear if found.statistic else self.decider)
        return Card(
            self.name,
            evidence.dataset,
            self.text,
            self.source,
            self.hypothesis,
            found.verdict,
            found.statistic,
            found.models,
            found.metrics,
            picture=found.picture or self.picture,
            decider=missing if found.verdict == "undecided" else "",
            view=found.view,
            pictured=found.pictured,
        )
