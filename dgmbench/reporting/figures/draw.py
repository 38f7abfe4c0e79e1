"""All figures of a report.

Every function returns PNG files without dates or versions inside, so that equal results give equal bytes.
Seaborn and matplotlib take seconds to import and are imported where they draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dgmbench.reporting.comparison.table import LABELS, Table
from dgmbench.reporting.figures import (
    classes,
    controls,
    convergence,
    costs,
    error_by_labels,
    likelihoods,
    neighbours,
    quality,
)
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.figures.latent_sheets import completion_sheets, conditional_sheets, latent_sheets
from dgmbench.reporting.figures.latent_units import units
from dgmbench.reporting.figures.learning_curves import learning_curves
from dgmbench.reporting.figures.mean_images import mean_images
from dgmbench.reporting.figures.samples import sample_grids
from dgmbench.reporting.figures.spectra import spectra
from dgmbench.reporting.figures.strip import strip
from dgmbench.reporting.findings import ControlFinding
from dgmbench.reporting.run_files import Run, first_finished
from dgmbench.reporting.words import VIEWS


def draw_all(
    frame: pd.DataFrame,
    runs: Sequence[Run],
    manifests: Mapping[str, Mapping[str, Any]],
    results_root: Path,
    data_root: Path,
    folder: Path,
    tables: Sequence[Table],
    findings: Sequence[ControlFinding] = (),
) -> list[Picture]:
    """Draw every figure into `folder`; returns them in the order that a report shows them.

    tables: those of the report, from which errors by labels and likelihoods are drawn.
    """
    drawn: list[Picture] = []
    of = {(table.dataset, table.view): table for table in tables}
    for dataset, manifest in manifests.items():
        labels = of.get((dataset, LABELS))
        drawn += error_by_labels.draw(labels, int(manifest["splits"]["train"]), folder)
        for view in VIEWS:
            own = [run for run in runs if (run.dataset, run.view) == (dataset, view)]
            if not own:
                continue
            models = list(dict.fromkeys(run.model for run in own))
            if (dataset, view) in of:
                drawn += likelihoods.draw(of[dataset, view], folder)
                drawn += costs.draw(of[dataset, view], folder)
            drawn += convergence.draw(frame, dataset, view, models, folder)
            if view != "tokens":
                drawn += _of_images(frame, own, manifest, results_root, data_root, folder)
            drawn += learning_curves(own, folder)
        for finding in findings:
            if finding.dataset == dataset:
                drawn += controls.draw(finding, folder)
    return drawn


def _of_images(
    frame: pd.DataFrame,
    runs: Sequence[Run],
    manifest: Mapping[str, Any],
    results_root: Path,
    data_root: Path,
    folder: Path,
) -> list[Picture]:
    """What is drawn of models of images alone, runs of one data set and view."""
    dataset, view = runs[0].dataset, runs[0].view
    return [
        *quality.draw(frame, runs, dataset, view, results_root, folder),
        *classes.draw(runs, dataset, view, results_root, folder),
        *strip(runs, manifest, data_root, folder),
        *sample_grids(runs, manifest, data_root, folder, results_root),
        *mean_images(runs, results_root, folder),
        *neighbours.draw(first_finished(runs), manifest, results_root, folder),
        *conditional_sheets(runs, results_root, folder),
        *completion_sheets(runs, results_root, folder),
        *latent_sheets(runs, results_root, folder),
        *units(runs, results_root, folder),
        *spectra(runs, results_root, folder),
    ]
