"""What the tests of the controls look at findings with."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import torch

from dgmbench.controls.control import Context, Finding
from dgmbench.data.dataset import Dataset
from dgmbench.evaluation.features.classifier import DomainClassifier


def context(
    control: str, data: Dataset, classifier: DomainClassifier | None = None, seed: int = 0
) -> Context:
    return Context(control, data, classifier, seed, 0, torch.device("cpu"))


def table(finding: Finding) -> dict[tuple[str, str], list[float]]:
    """Values by (subject, metric), in the order of the seeds; a row that occurs twice is an error."""
    keys = [(row.model, row.metric, row.unit, row.seed) for row in finding.records]
    assert len(keys) == len(set(keys))
    found: dict[tuple[str, str], list[float]] = {}
    for row in sorted(finding.records, key=lambda row: row.seed):
        found.setdefault((row.model.split("/", 2)[2], row.metric), []).append(row.value)
    return found


def check(finding: Finding) -> None:
    """What every finding keeps to: finite numbers, images of the levels that they claim, a sentence."""
    table(finding)
    assert finding.sentence.endswith(".") and "nan" not in finding.sentence
    for row in finding.records:
        assert row.model.startswith("control/") and math.isfinite(row.value)
    for panel in finding.panels:
        for curve in panel.curves:
            columns = [column for column in (curve.x, curve.y, curve.low, curve.high) if column is not None]
            assert np.isfinite(np.array(columns)).all()
            assert panel.x_names is None or len(panel.x_names) == len(curve.x)
    for sheet in finding.sheets:
        assert sheet.images.dtype == np.uint8 and sheet.images.ndim == 4
        assert 0 < len(sheet.images) <= 36 and sheet.images.max() < sheet.levels


def trace(finding: Finding) -> tuple[object, ...]:
    """All of a finding but the clock, to be compared byte for byte."""
    rows = [asdict(replace(row, seconds=0.0)) for row in finding.records]
    panels = [asdict(panel) for panel in finding.panels]
    sheets = [(sheet.title, sheet.levels, sheet.images.tobytes()) for sheet in finding.sheets]
    return finding.outcome, finding.sentence, repr(rows), repr(panels), sheets
