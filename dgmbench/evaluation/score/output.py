"""What `score` prints and writes: the table, and a CSV file with the columns of results.csv and some more."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dgmbench.errors import SettingsError
from dgmbench.evaluation.score.measures import Scored
from dgmbench.evaluation.score.reference import Reference
from dgmbench.files import text_output
from dgmbench.metrics import WAYS, declared
from dgmbench.metrics.metric import FLOOR
from dgmbench.results import COLUMNS, Record

# What each value was measured against, and what is to be said of it.
MORE_COLUMNS = ("data_sha256", "classifier_sha256", "classifier_accuracy", "note")


@dataclass(frozen=True)
class Row:
    """A record, the words that name its classifier (none outside the domain space), and a CSV row."""

    record: Record
    judged_by: str
    cells: dict[str, object]


def rows(found: Iterable[Scored], reference: Reference, cautions: Sequence[str], few: bool) -> list[Row]:
    """A row for each score; `cautions` concern all of them, `few` makes each a heuristic."""
    return [_row(scored, reference, cautions, few) for scored in found]


def _row(scored: Scored, reference: Reference, cautions: Sequence[str], few: bool) -> Row:
    record = scored.record
    if few and record.kind != "exact":
        record = replace(record, kind="heuristic")
    judge = reference.judge if scored.space == "domain" else None
    more = (
        reference.data.sha256,
        judge.sha256 if judge else "",
        judge.accuracy if judge else "",
        "; ".join((*cautions, *scored.notes)),
    )
    cells = asdict(record) | dict(zip(MORE_COLUMNS, more, strict=True))
    return Row(record, judge.words if judge else "", cells)


def write_csv(path: Path, found: Sequence[Row]) -> None:
    """Write all rows; a regular file whole or not at all. Raises SettingsError where it cannot be written."""
    try:
        with text_output(path) as handle:
            writer = csv.DictWriter(handle, (*COLUMNS, *MORE_COLUMNS), lineterminator="\n")
            writer.writeheader()
            writer.writerows(row.cells for row in found)
    except OSError as error:
        raise SettingsError(f"--csv {path} cannot be written: {error.strerror or error}") from error


def table(found: Sequence[Row]) -> list[str]:
    """A line for each score, under a heading; numbers of images stand in the title instead."""
    lines = [f"{'score':24} {'value':>10} {'std. error':>10} {'samples':>8}"]
    for row in found:
        record = row.record
        metric = declared(record.metric)
        floor = record.metric.endswith(FLOOR)
        if metric.hidden and not floor:
            continue
        error = "" if record.std_error is None else f"{record.std_error:.2g}"
        words = [
            "percent" if record.unit == "percent" else "",
            "what real images score" if floor else WAYS[metric.direction(record.unit)],
            "heuristic" if record.kind == "heuristic" else "",
            row.judged_by,
        ]
        said = "; ".join(filter(None, words))
        lines.append(f"{metric.label:24} {record.value:z10.4g} {error:>10} {record.n:8,}  {said}".rstrip())
    return lines
