"""One training of an entry at a time."""

from __future__ import annotations

import fcntl
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKPOINTS = Path("checkpoints")


@contextmanager
def training_alone(dataset: str, model: str) -> Iterator[bool]:
    """Hold the entry's lock, which the system frees even if this process is killed.

    If another process trains the same entry here, wait for it and say so on standard error. Yields whether
    it waited.
    """
    path = CHECKPOINTS / dataset / f"{model}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            waited = False
        except BlockingIOError:
            waited = True
            handle.seek(0)
            other = handle.read().strip() or "another process"
            print(
                f"{dataset} {model} is being trained by {other}; waiting until it ends. Ctrl-C stops the "
                "waiting. If that process is ended instead (`kill` and its number), this one goes on from "
                "its last checkpoint",
                file=sys.stderr,
                flush=True,
            )
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.truncate(0)
        handle.write(f"process {os.getpid()} on {platform.node()}\n")
        handle.flush()
        yield waited
