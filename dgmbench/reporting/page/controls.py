"""What controls found as parts of the page: figures, sheets of images and the numbers behind a finding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from dgmbench.metrics import UNITS, declared
from dgmbench.reporting.comparison.cells import summarised
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.findings import ControlFinding
from dgmbench.reporting.page.grid import Entry, Grid, Head, Line, anchor
from dgmbench.reporting.page.images import captioned
from dgmbench.reporting.page.shown import facts_of
from dgmbench.reporting.records import headline_records

_HEADS = (
    Head("subject", is_text=True),
    Head("metric", is_text=True),
    Head("value"),
    Head("kind", is_text=True),
    Head("repetitions"),
    Head("items each"),
)


def control_view(finding: ControlFinding, frame: pd.DataFrame, pictures: Sequence[Picture]) -> dict[str, Any]:
    """What a template draws of a finding."""
    own = [p for p in pictures if (p.dataset, p.model) == (finding.dataset, finding.control)]
    numbers = _lines(finding, frame)
    name = f"{finding.dataset}-control-{finding.control}"
    return {
        "finding": finding,
        "anchor": anchor(finding.dataset, "control", finding.control),
        "table": _table(finding, name),
        "charts": [captioned(p) for p in own if p.role == "control"],
        "images": [captioned(p) for p in own if p.role == "control images"],
        "numbers": Grid(f"{name}-numbers", f"Numbers of {finding.title}", _HEADS, numbers)
        if numbers
        else None,
    }


def _table(finding: ControlFinding, name: str) -> Grid | None:
    if not finding.table:
        return None
    first, *others = finding.table
    heads = [Head(text, is_text=place == 0) for place, text in enumerate(first)]
    lines = [Line(Entry(row[0]), [Entry(text) for text in row[1:]]) for row in others]
    return Grid(name, f"Table of {finding.title}", heads, lines)


def _lines(finding: ControlFinding, frame: pd.DataFrame) -> list[Line]:
    """The records behind a finding: one line per subject and metric, repetitions averaged."""
    own = frame[(frame["dataset"] == finding.dataset) & frame["model"].str.startswith(finding.prefix)]
    groups = headline_records(own).groupby(["model", "metric", "unit"], sort=False)
    return [
        _line(finding, str(model), str(metric), str(unit), records)
        for (model, metric, unit), records in groups
    ]


def _line(finding: ControlFinding, model: str, metric: str, unit: str, records: pd.DataFrame) -> Line:
    cell = summarised(records)
    name, words = declared(metric).label, UNITS[unit]
    entries = [
        Entry(f"{name} ({words})" if words else name),
        Entry(cell.text, value=cell.mean, half=cell.widest, facts=facts_of(cell))
        if math.isfinite(cell.mean)
        else Entry("not finite", css="gap"),
        Entry(cell.kind.replace("_", " ")),
        Entry(str(cell.n), value=cell.n),
        Entry(f"{cell.images:,}", value=cell.images),
    ]
    return Line(Entry(model.removeprefix(finding.prefix)), entries)
