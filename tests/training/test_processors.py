"""What holds from one processor to another: to the byte on one machine, to rounding for closed forms, and
for what is trained no more than for another seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_trainings import ENTRIES, trained

from dgmbench.metrics import declared
from dgmbench.reporting.baseline.tolerance import level_of, tolerance

SCRIPT = Path(__file__).with_name("tiny_trainings.py")
ROOT = SCRIPT.parent.parent.parent
# PyTorch's names of instruction sets, each a part of the next.
CAPABILITIES = ("default", "avx2", "avx512")
OWN = torch.backends.cpu.get_cpu_capability().lower()
LESSER = CAPABILITIES[: CAPABILITIES.index(OWN)] if OWN in CAPABILITIES else ()
# The libraries that PyTorch calls choose for themselves.
OTHERS = {
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "default": {"ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
}
METRICS = {"ppca": "log_likelihood", "independent": "log_likelihood",
           "vae": "elbo", "pixelcnn": "log_likelihood"}  # fmt: skip


def started(**variables: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | variables
    return subprocess.Popen(
        [sys.executable, str(SCRIPT)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.fixture(scope="module")
def runs() -> dict[str, Any]:
    """Here and in a process as it is, and under every lesser set of instructions; all at the same time."""
    processes = {"second": started()}
    processes |= {name: started(ATEN_CPU_CAPABILITY=name, **OTHERS[name]) for name in LESSER}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = {"first": {name: list(trained(name)) for name in ENTRIES}}
    torch.set_num_threads(threads)
    others = {name: json.loads(process.communicate(timeout=600)[0]) for name, process in processes.items()}
    return found | others


@pytest.mark.parametrize("entry", METRICS)
def test_on_one_machine_two_runs_agree_to_the_byte(runs: dict[str, Any], entry: str) -> None:
    assert runs["first"][entry] == runs["second"][entry]


@pytest.mark.parametrize("capability", LESSER)
@pytest.mark.parametrize("entry", ["ppca", "independent"])
def test_closed_forms_agree_to_rounding(runs: dict[str, Any], entry: str, capability: str) -> None:
    expected, found = (runs[name][entry][1] for name in ("first", capability))
    assert found == pytest.approx(expected, abs=declared(METRICS[entry]).allowed.rounding.of(expected))


@pytest.mark.parametrize("capability", LESSER)
@pytest.mark.parametrize("entry", ["vae", "pixelcnn"])
def test_what_is_trained_agrees_as_another_seed_does(
    runs: dict[str, Any], entry: str, capability: str
) -> None:
    expected, found = ({"mean": runs[name][entry][1], "sd": None, "n": 1} for name in ("first", capability))
    allowed, _ = tolerance(declared(METRICS[entry]).allowed, expected, found, level_of(1))
    assert abs(found["mean"] - expected["mean"]) <= allowed
