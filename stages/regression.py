"""Compare the current pipeline's metrics with its committed baseline, or make them the new baseline.

check exits with 1 if a metric is worse than seeds explain, and with 2 if it cannot compare (no run yet, a
damaged file); make writes reports/<pipeline>/baseline.json.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dgmbench.commands import guarded, stage_parser, stage_settings
from dgmbench.reporting.baseline.files import read_baseline, read_results, write_baseline
from dgmbench.reporting.baseline.regression import compare, format_findings, regressions


def main() -> None:
    """Parse and call."""
    parser = stage_parser(__doc__)
    parser.add_argument("action", choices=("check", "make"), help="compare with the baseline, or write it")
    arguments = parser.parse_args()
    folder = Path("reports") / stage_settings(arguments).pipeline
    frame, baseline = read_results(folder / "results.csv"), folder / "baseline.json"
    if arguments.action == "make":
        write_baseline(frame, baseline)
        print(f"wrote {baseline}")
        return
    findings = compare(frame, read_baseline(baseline))
    print(format_findings(findings))
    sys.exit(1 if regressions(findings) else 0)


if __name__ == "__main__":
    guarded(main)
