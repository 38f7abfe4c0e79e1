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
