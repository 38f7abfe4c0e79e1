"""Bring every run of the pipeline into MLflow: mlflow.db, and the server of MLFLOW_TRACKING_URI if set.

Runs that are there already are left alone, so this can be run at any time and any number of times.
"""

from __future__ import annotations

from pathlib import Path

from dgmbench.commands import guarded, stage_parser, stage_settings
from dgmbench.dependencies import recorded_settings
from dgmbench.tracking.mlflow_store import sync


def main() -> None:
    """Parse and call."""
    params = stage_settings(stage_parser(__doc__).parse_args())
    reports = Path("reports") / params.pipeline
    print(sync(recorded_settings(params), Path("runs"), Path("results"), reports, Path("data")))


if __name__ == "__main__":
    guarded(main)
