"""Carry out one control and write what it found."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from dgmbench.controls.control import Context, Control, Finding
from dgmbench.controls.registry import control_class
from dgmbench.data.dataset import load_dataset
from dgmbench.evaluation.arrays import save_arrays
from dgmbench.evaluation.features.domain_classifier import load_classifier
from dgmbench.files import write_json
from dgmbench.results import write_records
from dgmbench.settings import Params, control_settings
from dgmbench.training.devices import set_up
from dgmbench.training.runs import DATA

RESULTS = Path("results")


def run_control(params: Params, dataset: str, name: str) -> Path:
    """Carry out control `name` on a data set and write ``results/<dataset>/control-<name>/``.

    There: `results.csv` (records), `finding.json` (claim, sentence, outcome, plots), `sheets.npz` (images).
    """
    device = set_up(params.training)
    classifier = load_classifier(dataset, "gray", device)
    data = load_dataset(dataset, DATA)
    evaluation = params.evaluation
    context = Context(
        name, data, classifier, evaluation.seed, params.data.seed, device, store=evaluation.store
    )
    control = control_class(name)(control_settings(params, name))
    print(f"control {name} on {dataset}", file=sys.stderr)
    finding = control.run(context)
    folder = RESULTS / dataset / f"control-{name}"
    # As DVC does before a stage; without it, files of other settings would stay.
    shutil.rmtree(folder, ignore_errors=True)
    write_finding(folder, control, finding)
    print(f"control {name} on {dataset}: {finding.outcome}: {finding.sentence}", file=sys.stderr)
    return folder


def write_finding(folder: Path, control: Control, finding: Finding) -> None:
    """Write a finding's files into `folder`."""
    write_records(folder / "results.csv", finding.records)
    text = {"title": control.title, "claim": control.claim, "source": control.source}
    found = {"outcome": finding.outcome, "sentence": finding.sentence}
    panels = [asdict(panel) for panel in finding.panels]
    sheets = [{"title": sheet.title, "levels": sheet.levels} for sheet in finding.sheets]
    write_json(
        folder / "finding.json", text | found | {"panels": panels, "sheets": sheets, "table": finding.table}
    )
    arrays = {str(index): sheet.images for index, sheet in enumerate(finding.sheets)}
    save_arrays(folder / "sheets.npz", **arrays)
