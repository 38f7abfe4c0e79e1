"""What the controls found, as the control stage wrote it: claim, outcome, sentence, plots and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.claims.claim import VERDICTS
from dgmbench.errors import CheckpointError
from dgmbench.files import read_json
from dgmbench.reporting import markdown
from dgmbench.reporting.records import CONTROL, control_folder

_TEXTS = ("title", "claim", "source", "outcome", "sentence")
# A plot as parsed JSON: title, x_label, y_label, curves (name, x, y, low, high), levels, log_x, x_names,
# log_y, stacked.
Panel = dict[str, Any]


@dataclass(frozen=True)
class Sheet:
    """Images of a finding: uint8 `[n, C, H, W]` of so many levels; `columns` to a row, None for a square."""

    title: str
    images: np.ndarray
    levels: int
    columns: int | None = None


@dataclass(frozen=True)
class ControlFinding:
    """One control on one data set; the texts are those of its `finding.json`."""

    dataset: str
    control: str
    title: str
    claim: str
    source: str
    outcome: str
    sentence: str
    panels: tuple[Panel, ...]
    sheets: tuple[Sheet, ...]
    table: tuple[tuple[str, ...], ...] = ()

    @property
    def prefix(self) -> str:
        """How the model names of its records begin."""
        return f"{CONTROL}{self.control}/"


def load_findings(
    results_root: Path, datasets: Sequence[str], controls: Sequence[str]
) -> list[ControlFinding]:
    """The findings of all controls, by data set and control as given.

    Raises `CheckpointError` for a control that was not carried out or left files that cannot be read.
    """
    return [
        _finding(control_folder(results_root, dataset, control), dataset, control)
        for dataset in datasets
        for control in controls
    ]


def _finding(folder: Path, dataset: str, control: str) -> ControlFinding:
    path = folder / "finding.json"
    try:
        found = read_json(path)
        texts = {key: str(found[key]) for key in _TEXTS}
        sheets = _sheets(folder / "sheets.npz", found["sheets"])
        panels = tuple(found["panels"])
        table = tuple(tuple(map(str, line)) for line in found.get("table", ()))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} cannot be read ({error!r}); carry out this control again") from error
    if texts["outcome"] not in VERDICTS:
        raise CheckpointError(f"{path}: outcome '{texts['outcome']}' is not one of {', '.join(VERDICTS)}")
    return ControlFinding(dataset, control, panels=panels, sheets=sheets, table=table, **texts)


def _sheets(path: Path, described: Sequence[dict[str, Any]]) -> tuple[Sheet, ...]:
    if not described:
        return ()
    with np.load(path, allow_pickle=False) as content:
        arrays = [content[str(index)] for index in range(len(described))]
    return tuple(
        Sheet(text["title"], images, int(text["levels"]), text.get("columns"))
        for text, images in zip(described, arrays, strict=True)
    )


def to_markdown(findings: Sequence[ControlFinding]) -> str:
    """Claim, outcome, sentence and table of each, as a page of Markdown."""
    parts = []
    for finding in findings:
        parts += [f"## {finding.title}", f"Claim: {finding.claim} ({finding.source})",
                  f"**{finding.outcome.capitalize()}.** {finding.sentence}"]  # fmt: skip
        if finding.table:
            head, *lines = finding.table
            rows = [head, ["---"] * len(head), *lines]
            parts.append(markdown.table([_cell(cell) for cell in row] for row in rows))
    return "\n\n".join(["# Controls", *parts]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
