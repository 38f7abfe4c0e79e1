"""Entry points: every fault of the machine ends in a sentence and exit code 2, on any terminal."""

from __future__ import annotations

import errno
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from places import ROOT

from dgmbench.commands import guarded
from dgmbench.errors import MachineError
from dgmbench.files import write_text
from dgmbench.settings import PARAMS, compose, render_params
from dgmbench.training.workers import for_each

ERRORS = [
    (OSError(errno.ENOSPC, "No space left on device", "a/b"), "no room left on the disk: a/b: No space"),
    (
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        "no room left on the disk: Disk quota",
    ),
    (OSError(errno.EROFS, "Read-only file system", "a/b"), "a/b: Read-only file system; give this user"),
    (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b: Permission denied; give this user"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory", "a/b"), "a/b: No such file or directory"),
    (IsADirectoryError(errno.EISDIR, "Is a directory", "a/b"), "a/b: Is a directory"),
    (OSError(errno.EIO, "Input/output error"), "error: Input/output error"),
    (OSError(errno.EMFILE, "Too many open files", "a"), "a: Too many open files; `ulimit -n"),
    (OSError("a message alone"), "error: a message alone"),
    (TimeoutError(), "error: TimeoutError"),
    (MemoryError(), "error: memory ran out; training.processes: 1"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory ran out"),
    (torch.OutOfMemoryError("CUDA out of memory. Tried"), "memory ran out (CUDA out of memory. Tried)"),
]


def told(capsys: pytest.CaptureFixture[str], main: Callable[[], object]) -> str:
    """What `main` says when it ends with exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        guarded(lambda: (main(), None)[1])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1
    return message


def fails(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(("error", "sentence"), ERRORS, ids=lambda value: str(value)[:30])
def test_a_fault_of_the_machine_is_a_sentence(
    error: Exception, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in told(capsys, lambda: fails(error))


@pytest.mark.parametrize(("error", "sentence"), ERRORS, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("processes", [1, 2])
def test_several_processes_say_what_one_says(error: Exception, sentence: str, processes: int) -> None:
    def work(seed: int) -> None:
        if seed == 7:
            raise error

    with pytest.raises(MachineError) as caught:
        for_each(work, [6, 7], processes, "train digits vae seed")
    message = f"error: {caught.value}"
    assert message.startswith("error: train digits vae seed 7: ")
    assert sentence.removeprefix("error: ") in message


@pytest.mark.parametrize(
    "allocate", [lambda: np.empty(1 << 46), lambda: torch.empty(1 << 46)], ids=["numpy", "torch"]
)
def test_memory_that_cannot_be_had_is_a_sentence(
    allocate: Callable[[], object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "memory ran out" in told(capsys, allocate)


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="a defect"):
        guarded(lambda: fails(RuntimeError("a defect")))


@pytest.mark.parametrize(
    ("stage", "options", "blocked"),
    [
        ("check", (), "provenance"),
        ("prepare", ("--dataset", "digits"), "data"),
        ("classifier", ("--dataset", "digits"), "data"),
        ("train", ("--dataset", "digits", "--model", "ppca"), "checkpoints"),
        ("evaluate", ("--dataset", "digits", "--model", "ppca"), "results"),
        ("control", ("--dataset", "digits", "--control", "pixel_shift"), "data"),
        ("report", (), "results"),
        ("regression", ("check",), "reports"),
        ("regression", ("make",), "reports"),
    ],
)
def test_every_stage_ends_in_a_sentence_where_a_file_is_in_the_way(
    stage: str,
    options: tuple[str, ...],
    blocked: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file where a folder is wanted: it stops root too, whom no permission stops."""
    monkeypatch.chdir(tmp_path)
    settings = compose("smoke", ROOT / "pipelines")
    for part, kept in (("models", "ppca"), ("controls", "pixel_shift")):  # to build every model takes seconds
        settings[part] = {kept: settings[part][kept]}
    settings.pop("orders", None)
    write_text(PARAMS, render_params(settings, "smoke"))
    write_text(tmp_path / blocked, "in the way")
    monkeypatch.setattr(sys, "argv", [stage, *options])
    message = told(capsys, importlib.import_module(f"stages.{stage}").main)
    assert blocked in message or "digits" in message


PRINTS = "from dgmbench.commands import guarded; guarded(lambda: print('± – \\udcff ' + 'x' * 100_000))"


def printed(output: int, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PRINTS], stdout=output, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=os.environ | environment, timeout=60,
    )  # fmt: skip


def test_a_terminal_that_knows_only_ascii_gets_escapes() -> None:
    done = printed(subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.startswith("\\xb1 \\u2013 \\udcff x")


def test_a_pipe_that_closes_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = printed(writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_output_to_a_full_disk_is_a_sentence() -> None:
    with open("/dev/full", "w") as full:
        done = printed(full.fileno())
    assert done.returncode == 2
    assert done.stderr.startswith("error: no room left on the disk") and done.stderr.count("\n") == 1
