"""Trainings of GANs that succeeded or failed: rates of success, and how they are shown."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dgmbench.controls.control import Context, Curve, Panel, Sheet
from dgmbench.models.adversarial.objectives import Objective
from dgmbench.results import Record
from dgmbench.statistics import Interval, rate_difference, wilson_interval

# What fails, or succeeds, more rarely than this is no mixture of both.
SELDOM = 0.05
OUTCOMES = ("success", "poor", "classes dropped", "collapsed", "diverged")
SCORES = ("fid_domain", "effective_classes", "class_coverage")
SHOWN = 6


@dataclass(frozen=True)
class Training:
    """How one training ended; FID, classes and samples are missing where its parameters are not finite."""

    outcome: str
    fid: float | None
    effective_classes: float | None
    coverage: float | None
    samples: Tensor | None
    seconds: float


def successes(runs: Sequence[Training]) -> int:
    """How many trainings succeeded."""
    return sum(run.outcome == "success" for run in runs)


def mixed(runs: Sequence[Training]) -> Interval:
    """Of the rarer of success and failure, how far its rate is above `SELDOM`; both ends are Wilson's."""
    rates = [wilson_interval(count, len(runs)) for count in (successes(runs), len(runs) - successes(runs))]
    return Interval.between(min(rate.low for rate in rates), min(rate.high for rate in rates)).less(SELDOM)


def difference(found: Mapping[Objective, Sequence[Training]], pair: tuple[Objective, Objective]) -> Interval:
    """Of the rates of success."""
    first, second = (found[name] for name in pair)
    return rate_difference(successes(first), len(first), successes(second), len(second))


def title(objective: Objective) -> str:
    """What a reader knows an objective by."""
    return "non-saturating" if objective == "non_saturating" else objective.replace("_", " ")


def measured(context: Context, objective: str, seed: int, run: Training, n: int) -> Iterator[Record]:
    """Records of one training."""
    values = run.fid, run.effective_classes, run.coverage
    for metric, value in zip(SCORES, values, strict=True):
        if value is not None:
            yield context.record(objective, metric, value, n=n, unit="1", kind="estimate", seed=seed)
    succeeded = float(run.outcome == "success")
    yield context.record(objective, "training_succeeded", succeeded, n=1, unit="1", kind="exact", seed=seed,
                         seconds=run.seconds)  # fmt: skip


def rate_panel(found: Mapping[Objective, Sequence[Training]]) -> Panel:
    """Rates of success with their intervals."""
    ends = [wilson_interval(successes(runs), len(runs)) for runs in found.values()]
    rates = [successes(runs) / len(runs) for runs in found.values()]
    curve = Curve("rate, 95 % over runs", [float(place) for place in range(len(found))], rates,
                  [rate.low for rate in ends], [rate.high for rate in ends])  # fmt: skip
    return Panel("Success", "", "share of trainings", [curve], x_names=[title(name) for name in found])


def fid_panel(found: Mapping[Objective, Sequence[Training]], reference: float) -> Panel:
    """Over the seeds that can be drawn from, failed ones included."""
    drawn = {name: [run.fid for run in runs if run.fid is not None] for name, runs in found.items()}
    kept = {name: values for name, values in drawn.items() if values}
    curve = Curve(
        "median, and range over seeds", [float(place) for place in range(len(kept))],
        [statistics.median(values) for values in kept.values()],
        [min(values) for values in kept.values()], [max(values) for values in kept.values()],
    )  # fmt: skip
    names = [title(name) for name in kept]
    return Panel("Spread over seeds", "", "domain FID", [curve], {"PPCA": reference}, x_names=names)


def table(found: Mapping[Objective, Sequence[Training]]) -> list[list[str]]:
    """Objective against the share of each outcome, and the spread of FID."""
    lines = [["objective", *(f"{outcome} (%)" for outcome in OUTCOMES), "FID: median", "least", "most"]]
    for objective, runs in found.items():
        counts = Counter(run.outcome for run in runs)
        shares = [f"{100 * counts[outcome] / len(runs):.0f}" for outcome in OUTCOMES]
        values = [run.fid for run in runs if run.fid is not None]
        spread = [f"{of(values):.1f}" if values else "–" for of in (statistics.median, min, max)]
        lines.append([title(objective), *shares, *spread])
    return lines


def sheets(found: Mapping[Objective, Sequence[Training]], levels: int) -> list[Sheet]:
    """A row for each objective: the first sample of its first seeds."""
    rows = []
    for runs in found.values():
        drawn = [run.samples[:1] for run in runs if run.samples is not None][:SHOWN]
        if len(drawn) == SHOWN:
            rows.append(torch.cat(drawn))
    if not rows:
        return []
    return [
        Sheet("A sample of each of the first seeds, objective by objective", torch.cat(rows).numpy(), levels)
    ]
