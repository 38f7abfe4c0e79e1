"""A stage ends with the DVC that started it, and with nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT
from processes import alive, until

# The parent stands for DVC: it starts a shell with a stage's command, names the stage, and waits.
PARENT = """
import subprocess, sys
subprocess.run(["/bin/sh", "-c", sys.argv[1]])
"""
STAGE = "import os, sys, time, stages; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent's life")
@pytest.mark.parametrize(
    ("number", "by_dvc", "ends"),
    [(signal.SIGKILL, True, True), (signal.SIGTERM, True, True), (signal.SIGKILL, False, False)],
)
def test_a_stage_ends_with_dvc_alone(
    tmp_path: Path, number: signal.Signals, by_dvc: bool, ends: bool
) -> None:
    told = tmp_path / "pid"
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    environment |= {"DVC_STAGE": "train@digits-vae"} if by_dvc else {}
    command = f'exec {sys.executable} -c "{STAGE}" {told}'
    parent = subprocess.Popen([sys.executable, "-c", PARENT, command], env=environment, cwd=ROOT)
    assert until(lambda: told.exists() and told.read_text())
    stage = int(told.read_text())
    parent.send_signal(number)
    parent.wait(10)
    assert until(lambda: not alive(stage), 10 if ends else 0.5) == ends
    if not ends:
        os.kill(stage, signal.SIGKILL)
