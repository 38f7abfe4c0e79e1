"""Asking for scores as the command line does, and reading what it wrote."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np

from dgmbench.__main__ import main
from dgmbench.commands import guarded

SHAPE = (1, 8, 8)
BYTES = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8), dtype=np.uint8)


def score(*words: str) -> None:
    """`python -m dgmbench score --dataset digits ...` in this process; SystemExit where it is refused."""
    with patch.object(sys, "argv", ["dgmbench", "score", "--dataset", "digits", *words]):
        guarded(main)


def rows(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a CSV file by metric."""
    with open(path, newline="", encoding="utf-8") as handle:
        return {row["metric"]: row for row in csv.DictReader(handle)}
