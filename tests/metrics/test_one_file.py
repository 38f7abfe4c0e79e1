"""A new metric is one file here and the code that measures it: nothing else names it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from places import ROOT

DECLARATION = """
from dgmbench.metrics.metric import Metric, Topic

METRICS = (
    Metric("brightness_{bits}", "brightness ({bits} bits)", "1", "one", Topic.QUALITY, "mean of samples"),
)
"""
USE = """
import dgmbench, pandas as pd
from pathlib import Path
from dgmbench.reporting.baseline.regression import make_baseline
from dgmbench.reporting.comparison.from_records import comparison
from dgmbench.results import Record, read_records, write_records

assert Path(dgmbench.__file__).is_relative_to(Path.cwd()), dgmbench.__file__
values = ("d", "gray", "m", 0, "brightness_8", 0.5, None, 9, "1", "estimate", "test", 0.0, "cpu")
write_records(Path("results.csv"), [Record(*values)])
frame = read_records(Path("results.csv"))
(section,) = comparison(frame, "d", "gray").sections
print(section.title, section.columns[0].heading, sep=": ")
print(make_baseline(frame)["datasets"]["d"]["m"]["metrics"]["brightness_8"]["direction"])
"""


def test_a_new_file_declares_a_metric_for_results_tables_and_the_check(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dgmbench", tmp_path / "dgmbench", ignore=ignored)
    (tmp_path / "dgmbench" / "metrics" / "brightness.py").write_text(DECLARATION)
    found = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert (found.stdout, found.stderr) == ("Sample quality: brightness (8 bits) → 1\none\n", "")
