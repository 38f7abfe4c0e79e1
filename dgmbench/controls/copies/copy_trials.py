"""Scores of planted copies over many splits of held-out images: how often each raises the alarm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dgmbench.controls.control import Context, Curve, Panel
from dgmbench.controls.copies.copy_scores import BAD_HIGH, NAMES, QUALITY
from dgmbench.results import Kind, Record
from dgmbench.statistics import Interval, agresti_coull_interval, binomial_std_error

COPIES, SHIFTED, HELDOUT, NOISE = "copies", "shifted_copies", "heldout", "noise"
DROPPED = "dropped_class"
OTHERS = {SHIFTED: "moved copies", DROPPED: "class dropped", NOISE: "noise"}
# Of an alarm on ideal samples, by design.
FALSE_ALARMS = 5.0


@dataclass(frozen=True)
class Trials:
    """Scores of every case over the splits: `values[score][case]` is ``[repetitions]``."""

    values: Mapping[str, Mapping[str, np.ndarray]]
    n: int

    def flagged(self, score: str, case: str) -> float:
        """Percent of splits in which the score raises the alarm: at the wrong end of ideal samples' 5 %.

        Copies make the scores of copying low; whatever is amiss makes a distance high, and lowers precision
        and its companions.
        """
        ideal, values = self.values[score][case_name(0.0)], self.values[score][case]
        if score in BAD_HIGH:
            return 100.0 * float((values > np.quantile(ideal, 1 - FALSE_ALARMS / 100)).mean())
        return 100.0 * float((values < np.quantile(ideal, FALSE_ALARMS / 100)).mean())

    def rate(self, score: str, case: str) -> Interval:
        """That percentage with its binomial interval, which 0 % has too."""
        trials = len(self.values[score][case])
        found = agresti_coull_interval(self.flagged(score, case) / 100 * trials, trials)
        return Interval(100 * found.mean, 100 * found.half)


def case_name(share: float) -> str:
    """The subject of so many planted copies: `copies_0.05`."""
    return f"{COPIES}_{share:g}"


def records(context: Context, trials: Trials) -> list[Record]:
    """For each case the mean of each score over the splits, and how often it raised the alarm."""
    rows = []
    seconds = context.lap()
    for score, cases in trials.values.items():
        kind: Kind = "estimate" if score in QUALITY else "heuristic"
        for case, values in cases.items():
            error = float(values.std(ddof=1)) / len(values) ** 0.5
            unit = "percent" if score.startswith("auth_pct") else "1"
            rows.append(
                context.record(case, score, float(values.mean()), error, n=trials.n, unit=unit, kind=kind)
            )
            percent, n = trials.flagged(score, case), len(values)
            rows.append(
                context.record(
                    case, f"flagged_{score}", percent, binomial_std_error(percent, n),
                    n=n, unit="percent", kind="estimate", seconds=seconds,
                )
            )  # fmt: skip
            seconds = 0.0
    return rows


def panels(trials: Trials, shares: Sequence[float]) -> list[Panel]:
    """The ladder and what else alarms, in pixels and in features; a score looks alike in both."""
    percents = [100 * share for share in shares]
    ladder = [case_name(share) for share in shares]
    others = [case for case in OTHERS if case in trials.values["auth_pct"]]
    places = [float(place) for place in range(len(others))]
    names = [OTHERS[case] for case in others]
    level = {"false alarms by design": FALSE_ALARMS}
    ladders, besides = [], []
    for where, names_of in _by_space(trials).items():
        rungs = [_alarms(trials, score, percents, ladder) for score in names_of]
        title, share = f"Planted copies, {where}", "alarms, % of splits (95 % over splits)"
        ladders.append(Panel(title, "percent of copies", share, rungs, level, log_x=True))
        beside = [_alarms(trials, score, places, others) for score in names_of]
        besides.append(Panel(f"Other samples, {where}", "", share, beside, level, x_names=names))
    return ladders + besides


def _by_space(trials: Trials) -> dict[str, list[str]]:
    """Scores by what they look at; those of a group share a panel."""
    quality = [score for score in trials.values if score in QUALITY]
    inside = [score for score in trials.values if score.endswith("_domain") and score not in quality]
    pixels = [score for score in trials.values if score not in (*inside, *quality)]
    return {"pixels": pixels} | ({"features": inside, "quality": quality} if inside else {})


def _alarms(trials: Trials, score: str, x: Sequence[float], cases: Sequence[str]) -> Curve:
    rates = [trials.rate(score, case) for case in cases]
    lows, highs = [max(rate.low, 0.0) for rate in rates], [min(rate.high, 100.0) for rate in rates]
    name = NAMES[score].removesuffix(" in features")
    return Curve(name, x, [trials.flagged(score, case) for case in cases], lows, highs)
