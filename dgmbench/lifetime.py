"""Ending with the process that started this one, so that no training goes on after a kill."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Be killed when the process `parent`, which started this one, dies (Linux only).

    Elsewhere a killed parent leaves its processes to finish.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def end_with_dvc() -> None:
    """Be killed when DVC is, if DVC started this process; a shell, nohup or a batch scheduler has no say.

    DVC names the stage in the environment of its commands, and its shell replaces itself by the command.
    A shell that does not (fish) is the parent instead, and outlives DVC.
    """
    if "DVC_STAGE" in os.environ:
        end_with(os.getppid())
