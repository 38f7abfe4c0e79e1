"""Whether a score detects what it is meant to detect, by the control of planted copies.

A score of quality has to notice the cases that its declaration names; a score of copying has to notice copies
and must not raise the alarm over what is no copy. A case is noticed if the score raises the alarm in four of
five trials, at 5 % false alarms; the interval is over the trials.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from dgmbench.claims.claim import Verdict, judge
from dgmbench.metrics import Metric, Topic, declared
from dgmbench.metrics.quality import COPIED, DROPPED, NOISY
from dgmbench.statistics import agresti_coull_interval

CONTROL = "control/planted_copies/"
FLAGGED = "flagged_"
# Percent of trials: noticed from so many on; false alarms up to so many are tolerated (5 by design).
NOTICED, TOLERATED = 80.0, 20.0
_IDEAL, _COPIES, _SHIFTED = "copies_0", "copies_", "shifted_copies"
_SPOILT = {COPIED: "samples that are all copies", DROPPED: "a class left out", NOISY: "noise"}


@dataclass(frozen=True)
class Trust:
    """The verdict on a score, None where no trial says anything; and what contradicts it.

    missed: cases that go unnoticed; false_alarms: cases that are no copies. Each in words, with the
    percentage of trials in which the score raises the alarm.
    """

    verdict: Verdict | None
    missed: tuple[str, ...] = ()
    false_alarms: tuple[str, ...] = ()


def planted_copies(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """How often each score raised the alarm on each case: columns metric, case, percent and n of trials.

    Empty where the control was not carried out.
    """
    own = frame["model"].astype(str).str.startswith(CONTROL) & (frame["dataset"] == dataset)
    rows = frame[own]
    cases = rows["model"].astype(str).str.removeprefix(CONTROL)
    flagged = rows["metric"].astype(str).str.startswith(FLAGGED)
    metrics = rows["metric"].astype(str).str.removeprefix(FLAGGED)
    return pd.DataFrame({"metric": metrics, "case": cases, "percent": rows["value"], "n": rows["n"]})[flagged]


def tried_as(name: str) -> str:
    """The metric that the control tries in the place of this one; itself unless its declaration says so."""
    return declared(name).trusted_as or name


def trust(planted: pd.DataFrame, name: str) -> Trust:
    """What the trials say of a score."""
    score = declared(tried_as(name))
    missed: list[str] = []
    false_alarms: list[str] = []
    parts = []
    for case, percent, n in _rates(planted, score):
        rate = agresti_coull_interval(percent * n / 100, n)
        if _is_to_notice(score, case):
            part, found = rate.less(NOTICED / 100), missed
        elif is_of_copying(score) and case in (DROPPED, NOISY):
            part, found = rate.below(TOLERATED / 100), false_alarms
        else:
            continue
        parts.append(part)
        if part.high <= 0:
            found.append(f"{_words(score, case)} ({percent:.0f} %)")
    return Trust(judge(parts) if parts else None, tuple(missed), tuple(false_alarms))


def is_of_copying(score: Metric) -> bool:
    """Whether a score looks for copies, not for quality."""
    return score.topic == Topic.MEMORISATION


def _is_to_notice(score: Metric, case: str) -> bool:
    if is_of_copying(score):
        return case == _SHIFTED or (case.startswith(_COPIES) and case != _IDEAL)
    return case in score.notices


def _words(score: Metric, case: str) -> str:
    if case == _SHIFTED:
        return "all moved by a pixel"
    if is_of_copying(score) and case.startswith(_COPIES):
        return f"{100 * float(case.removeprefix(_COPIES)):g} %"
    return _SPOILT[case]


def _rates(planted: pd.DataFrame, score: Metric) -> Iterator[tuple[str, float, int]]:
    own = planted[planted["metric"] == score.name]
    for case, percent, n in zip(own["case"], own["percent"], own["n"], strict=True):
        yield str(case), float(percent), int(n)
