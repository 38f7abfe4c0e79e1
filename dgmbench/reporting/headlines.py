"""The few numbers that a model is judged by at a glance: of each aspect of the answer, one.

Which metric stands for an aspect is chosen in `dgmbench.reporting.answer.aspects` for both.
`dvc metrics show` and `diff`, the bars of `dvc plots`, the first columns of MLflow and the figure over
revisions all take them from here. The whole of what was measured is in results.csv.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dgmbench.claims.evidence import TASK
from dgmbench.files import replacing, write_json
from dgmbench.metrics import Direction
from dgmbench.reporting.answer.aspects import MEMORISATION, QUALITY, SAMPLING, TRAINING, Aspect
from dgmbench.reporting.comparison.by_labels import CLASSIFIER
from dgmbench.reporting.comparison.cells import Cell, headline_metric, summarised
from dgmbench.reporting.comparison.failed import finished
from dgmbench.reporting.records import headline_records, is_compared

# More digits would not fit a terminal; the baseline of the regression check has all of them.
SIGNIFICANT_DIGITS = 4
FAILED = "failed"


@dataclass(frozen=True)
class Headline:
    """One headline number.

    Args:
        key: its short name, a column of a terminal (not `error`, which DVC takes for a failure to load).
        label: its name for readers, with its unit.
        metrics: the first that a model has is taken; none for its tightest log-likelihood, whatever its kind.
        unit: of these metrics.
        better: which way is better.
    """

    key: str
    label: str
    metrics: tuple[str, ...]
    unit: str
    better: Direction

    def metric_in(self, records: pd.DataFrame) -> str | None:
        """The metric behind it, given one model's records; None if the model has none."""
        own = records[records["unit"] == self.unit]
        if not self.metrics:
            return headline_metric(own)
        names = [str(name) for name in own["metric"].unique()]
        return next((name for name in self.metrics if name in names), None)


def _metrics(aspect: Aspect) -> tuple[str, ...]:
    """The metrics behind an aspect's columns."""
    return tuple(key.partition(" [")[0] for key in aspect.keys)


# A classifier's own error, of other models that of a linear probe; with other numbers of labels it is a gap.
_ERRORS = (f"{CLASSIFIER}_{TASK}", f"probe_error_{TASK}")
HEADLINES = (
    Headline("nats", "log-likelihood, nats", (), "nats", "higher"),
    Headline("fid", "FID", _metrics(QUALITY), "1", "lower"),
    Headline("nn_ratio", "NN distance ratio", _metrics(MEMORISATION), "1", "one"),
    Headline("err_pct", f"test error ({TASK} labels), %", _ERRORS, "percent", "lower"),
    Headline("rate", "sampling, images/s", _metrics(SAMPLING), "images_per_second", "higher"),
    Headline("seconds", "training, s", _metrics(TRAINING), "seconds", "lower"),
)


@dataclass(frozen=True)
class ModelHeadlines:
    """The headlines of one model: cells by key in the order of `HEADLINES`, and how many seeds failed."""

    dataset: str
    view: str
    model: str
    cells: dict[str, Cell]
    failed: int

    def flat(self) -> dict[str, float]:
        """Means by key, rounded; what the model lacks is left out, failed seeds where there are none."""
        means = {key: rounded(cell.mean) for key, cell in self.cells.items() if math.isfinite(cell.mean)}
        return means | ({FAILED: self.failed} if self.failed else {})


def headlines(frame: pd.DataFrame) -> Iterator[ModelHeadlines]:
    """The headlines of every model of a frame of records, and of its further ways, in the frame's order."""
    kept = headline_records(frame[is_compared(frame["model"])])
    for names, records in kept.groupby(["dataset", "view", "model"], sort=False):
        dataset, view, model = (str(name) for name in names)
        done, _ = finished(records)
        failed = records["seed"].nunique() - done["seed"].nunique()
        yield ModelHeadlines(dataset, view, model, _cells(done), failed)


def _cells(records: pd.DataFrame) -> dict[str, Cell]:
    found = {}
    for headline in HEADLINES:
        metric = headline.metric_in(records)
        if metric is not None:
            own = (records["metric"] == metric) & (records["unit"] == headline.unit)
            found[headline.key] = summarised(records[own])
    return found


def rounded(value: float, digits: int = SIGNIFICANT_DIGITS) -> float:
    """`value` to so many significant digits; what is whole then is an int, which is written without `.0`."""
    near = float(f"{value:.{digits}g}")
    return int(near) if math.isfinite(near) and near == int(near) else near


def write_metrics(found: Sequence[ModelHeadlines], folder: Path) -> list[Path]:
    """`<data set>/<model>.json` for each model, which `dvc metrics` reads: one row each."""
    paths = [folder / own.dataset / f"{own.model}.json" for own in found]
    for path, own in zip(paths, found, strict=True):
        write_json(path, own.flat())
    return paths


def write_bars(found: Sequence[ModelHeadlines], path: Path) -> None:
    """One line per model and headline, which `dvc plots` draws as bars.

    `low` and `high` are the 95 % interval over trainings, empty for a single one.
    """
    labels = {headline.key: headline.label for headline in HEADLINES}
    rows = [
        {
            "dataset": own.dataset,
            "view": own.view,
            "model": own.model,
            "headline": f"{own.dataset}, {own.view}: {labels[key]}",
            "metric": cell.metric,
            "kind": cell.kind,
            "mean": rounded(cell.mean),
            "low": _end(cell, -1),
            "high": _end(cell, 1),
        }
        for own in found
        for key, cell in own.cells.items()
    ]
    columns = ["dataset", "view", "model", "headline", "metric", "kind", "mean", "low", "high"]
    with replacing(path) as aside:
        pd.DataFrame(rows, columns=columns).to_csv(aside, index=False, lineterminator="\n")


def _end(cell: Cell, side: int) -> float | None:
    return None if cell.half_width is None else rounded(cell.mean + side * cell.half_width)
