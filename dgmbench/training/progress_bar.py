"""The bar of a long piece of work."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from dgmbench.training.workers import slot


def bar(total: int, label: str, done: int = 0, unit: str = "step", *, quiet: bool = False) -> tqdm[Any]:
    """A progress bar with the remaining time; on a log file, a line now and then instead."""
    log = not sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        desc=label,
        unit=unit,
        position=slot(),
        mininterval=20 if log else 0.5,
        miniters=1,
        ascii=log,
        disable=quiet,
    )
