"""The three verdicts, and how intervals lead to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from dgmbench.statistics import Interval

Verdict = Literal["supported", "contradicted", "undecided"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


def judge(parts: Sequence[Interval]) -> Verdict:
    """The verdict on a claim that says of each part that it is above zero.

    Supported if every part is above zero with its whole interval; contradicted if one is not above zero with
    its whole interval; otherwise undecided. So it is where there is no part, or a part whose interval is not
    known: one seed decides nothing.
    """
    if any(part.high <= 0 for part in parts):
        return "contradicted"
    return "supported" if parts and all(part.low > 0 for part in parts) else "undecided"


def judge_every(parts: Sequence[Interval], against: Sequence[Interval]) -> Verdict:
    """The verdict on a claim that holds only if every one of several comparisons does.

    parts: intervals at 95 %, which all have to lie above zero; demanding all of them only makes that harder.
    against: the same at the level that is simultaneous over them (`dgmbench.statistics.simultaneous`), since
    any one of them contradicts. One comparison is judged by `judge`.
    """
    if judge(against) == "contradicted":
        return "contradicted"
    return "supported" if judge(parts) == "supported" else "undecided"


def judge_any(
    options: Sequence[Sequence[Interval]], against: Sequence[Sequence[Interval]]
) -> tuple[Verdict, list[int]]:
    """The verdict on a claim that holds if any of several cases does, and which cases support it.

    options: the parts of each case at the level that is simultaneous over the cases, since any one supports.
    against: the same at 95 %: the claim is contradicted if every case is.
    """
    shown = [place for place, parts in enumerate(options) if judge(parts) == "supported"]
    if shown:
        return "supported", shown
    contradicted = bool(against) and all(judge(parts) == "contradicted" for parts in against)
    return ("contradicted" if contradicted else "undecided"), []


def combined(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of several findings on one claim, by the rule of `judge`: it needs all, one contradicts."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if verdicts and all(v == "supported" for v in verdicts) else "undecided"
