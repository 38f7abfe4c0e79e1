"""All figures of a report.

Every function returns PNG files without dates or versions inside, so that equal results give equal bytes.
Seaborn and matplotlib take seconds to import and are imported where they draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dgmbench.reporting.comparison.from_records import comparison
from dgmbench.reporting.figures import classes, controls, convergence, likelihoods, neighbours, quality
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.figures.latent_sheets import completion_sheets, latent_sheets
from dgmbench.reporting.figures.latent_units import units
from dgmbench.reporting.figures.learning_curves import learning_curves
from dgmbench.reporting.figures.samples import sample_grids
from dgmbench.reporting.figures.spectra import spectra
from dgmbench.reporting.findings import ControlFinding
from dgmbench.reporting.records import load_points
from dgmbench.reporting.run_files import Run, first_finished


def draw_all(
    frame: pd.DataFrame,
    runs: Sequence[Run],
    manifests: Mapping[str, Mapping[str, Any]],
    results_root: Path,
    data_root: Path,
    folder: Path,
    findings: Sequence[ControlFinding] = (),
) -> list[Picture]:
    """Draw every figure into `folder`; returns them in the order that a report shows them."""
    drawn: list[Picture] = []
    points = load_points(results_root, frame)
    for dataset, manifest in manifests.items():
        for view in ("binary", "gray"):
            own = [run for run in runs if (run.dataset, run.view) == (dataset, view)]
            if not own:
                continue
            models = list(dict.fromkeys(run.model for run in own))
            table = comparison(frame, dataset, view, models, manifest, points=points)
            drawn += likelihoods.draw(table, folder)
            drawn += convergence.draw(frame, dataset, view, models, folder)
            drawn += quality.draw(frame, own, dataset, view, results_root, folder)
            drawn += classes.draw(own, dataset, view, results_root, folder)
            drawn += sample_grids(own, manifest, data_root, folder, results_root)
            drawn += neighbours.draw(first_finished(own), manifest, results_root, folder)
            drawn += completion_sheets(own, results_root, folder)
            drawn += latent_sheets(own, results_root, folder)
            drawn += units(own, results_root, folder)
            drawn += spectra(own, results_root, folder)
            drawn += learning_curves(own, folder)
        for finding in findings:
            if finding.dataset == dataset:
                drawn += controls.draw(finding, folder)
    return drawn
