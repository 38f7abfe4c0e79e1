"""Compare the current pipeline's metrics with its committed baseline, or make them the new baseline.

check prints what moved beyond tolerance and by how many intervals. It exits with 1 if a metric is worse than
seeds explain, and with 2 if it cannot compare (no run yet, a damaged file). make writes
reports/<pipeline>/baseline.json.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dgmbench.commands import guarded, stage_parser, stage_settings
from dgmbench.files import write_text
from dgmbench.reporting.baseline.files import read_baseline, read_results, write_baseline
from dgmbench.reporting.baseline.regression import compare, regressions
from dgmbench.reporting.baseline.revisions import only_headlines
from dgmbench.reporting.baseline.wording import format_findings, markdown


def main() -> None:
    """Parse and call."""
    parser = stage_parser(__doc__)
    parser.add_argument("action", choices=("check", "make"), help="compare with the baseline, or write it")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a table for a pull request too")
    arguments = parser.parse_args()
    pipeline = stage_settings(arguments).pipeline
    folder = Path("reports") / pipeline
    frame, baseline = read_results(folder / "results.csv"), folder / "baseline.json"
    if arguments.action == "make":
        write_baseline(frame, baseline)
        print(f"wrote {baseline}")
        return
    everything = compare(frame, read_baseline(baseline), within=True)
    findings = [finding for finding in everything if finding.severity != "within"]
    print(format_findings(findings))
    if arguments.markdown is not None:
        title = f"{pipeline}: against the committed baseline"
        shown = only_headlines(everything, frame)
        write_text(arguments.markdown, markdown(shown, title, len(everything) - len(shown)))
    sys.exit(1 if regressions(findings) else 0)


if __name__ == "__main__":
    guarded(main)
