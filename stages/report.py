"""Merge all results and write reports/<pipeline>/: results.csv, metrics, tables, figures, index.html."""

from __future__ import annotations

from pathlib import Path

from dgmbench.commands import guarded, stage_parser, stage_settings
from dgmbench.dependencies import recorded_settings
from dgmbench.reporting.report import write_report


def main() -> None:
    """Parse and call."""
    params = stage_settings(stage_parser(__doc__).parse_args())
    folder = Path("reports") / params.pipeline
    write_report(recorded_settings(params), Path("runs"), Path("results"), Path("data"), folder)
    print(f"open {folder / 'index.html'} in a browser")


if __name__ == "__main__":
    guarded(main)
