"""Seeds side by side: results in order, errors reported, Ctrl-C passed on, no process left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest
from processes import alive, until

from dgmbench.commands import guarded
from dgmbench.errors import CheckpointError
from dgmbench.settings import TrainingSettings
from dgmbench.training import workers as parallel
from dgmbench.training.workers import WorkerError, for_each, slot

PROGRAM = """
import os, sys, time
from pathlib import Path
from dgmbench.errors import DgmbenchError
from dgmbench.training.workers import for_each

folder = Path(sys.argv[1])

def work(item):
    try:
        (folder / f"pid-{item}").write_text(str(os.getpid()))
        time.sleep(60)
    except KeyboardInterrupt:
        (folder / f"saved-{item}").touch()
        if sys.argv[2] == "returns":
            return bytes(1 << 20)  # more than a pipe holds
        if sys.argv[2] == "fails":
            raise DgmbenchError(f"item {item}: the disk is full")
        raise KeyboardInterrupt(f"item {item}: stopped at step {7 + item}")

try:
    for_each(work, [0, 1, 2], 2, "item")
except KeyboardInterrupt as stop:
    print(stop)
    sys.exit(130)
except DgmbenchError as error:
    print(error, *error.__notes__, sep="; ")
    sys.exit(2)
"""


def started(folder: Path, how: str = "stops") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder), how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len([p for p in folder.glob("pid-*") if p.read_text()]) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    return process


def gone(folder: Path) -> bool:
    pids = [int(path.read_text()) for path in folder.glob("pid-*")]
    return until(lambda: not any(alive(pid) for pid in pids), 20)


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(processes: int) -> None:
    def work(item: int) -> tuple[int, int]:
        time.sleep(0.05 * (3 - item))
        return item, os.getpid()

    found = for_each(work, [0, 1, 2], processes, "item")
    assert [item for item, _ in found] == [0, 1, 2]
    assert (len({pid for _, pid in found}) == 3) == (processes > 1)


def test_never_more_at_once_than_asked_for_and_each_has_a_slot(tmp_path: Path) -> None:
    def work(item: int) -> tuple[int, int]:
        (tmp_path / f"on-{item}").touch()
        until(lambda: len(list(tmp_path.glob("on-*"))) == 2, 1.0)  # the last of all waits in vain
        time.sleep(0.05)
        together = len(list(tmp_path.glob("on-*")))
        (tmp_path / f"on-{item}").unlink()
        return together, slot()

    found = for_each(work, list(range(6)), 2, "item")
    assert max(together for together, _ in found) == 2
    assert {place for _, place in found} == {0, 1} and slot() == 0


def test_a_users_error_arrives_as_itself_and_stops_the_rest(tmp_path: Path) -> None:
    def work(item: int) -> None:
        (tmp_path / str(item)).touch()
        if item == 0:
            raise CheckpointError("weights-0.pt is damaged")
        time.sleep(0.3)

    with pytest.raises(CheckpointError, match=r"weights-0\.pt is damaged"):
        for_each(work, list(range(8)), 2, "item")
    assert not (tmp_path / "7").exists()


def test_any_other_failure_is_named_with_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    def work(item: int) -> None:
        raise ZeroDivisionError("a defect")

    with pytest.raises(WorkerError, match="item 0: its process ended with exit code 1"):
        for_each(work, [0, 1], 2, "item")
    assert "ZeroDivisionError: a defect" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("number", "kills", "expected"),
    [
        (signal.SIGKILL, [3, 3], "its process was killed, probably by the system, for memory"),
        (signal.SIGKILL, [3, 4], "its process was killed, by the system, for memory"),
        (signal.SIGTERM, [3, 3], "its process was ended by SIGTERM"),
    ],
)
def test_a_killed_process_is_named_with_what_helps_and_the_others_finish(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    kills: list[int],
    expected: str,
) -> None:
    counts = iter(kills)
    monkeypatch.setattr(parallel, "_kills_for_memory", lambda: next(counts))

    def work(seed: int) -> None:
        if seed == 1:
            os.kill(os.getpid(), number)
        time.sleep(0.1)
        (tmp_path / str(seed)).touch()

    with pytest.raises(WorkerError) as caught:
        for_each(work, [0, 1], 2, "train digits vae seed")
    message = str(caught.value)
    assert message.startswith(f"train digits vae seed 1: {expected}")
    if number == signal.SIGKILL:
        for wanted in ("training.processes: 1", "batch_size", "the same command again", "nothing that is"):
            assert wanted in message
    assert (tmp_path / "0").exists()


@pytest.mark.skipif(not Path("/proc/vmstat").exists(), reason="reads Linux's counters")
def test_kills_for_memory_are_counted() -> None:
    assert parallel._kills_for_memory() >= 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("stops", 130, "item 0: stopped at step 7; item 1: stopped at step 8"),
        ("returns", 130, ""),
        ("fails", 2, "item 0: the disk is full; item 1: the disk is full"),
    ],
)
def test_ctrl_c_reaches_every_process_and_what_each_says_of_it_is_told(
    tmp_path: Path, how: str, code: int, said: str
) -> None:
    process = started(tmp_path, how)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=30)[0].strip()
    assert (process.returncode, "; ".join(sorted(output.split("; ")))) == (code, said)
    assert sorted(path.name for path in tmp_path.glob("saved-*")) == ["saved-0", "saved-1"]
    assert gone(tmp_path)


@pytest.mark.parametrize("threads", [0, 1])
def test_ctrl_c_while_a_process_starts_reaches_it_too(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if another thread is the one that the system hands the signal to."""
    start, done = ForkProcess.start, threading.Event()
    for _ in range(threads):
        threading.Thread(target=done.wait, daemon=True).start()

    def interrupted(process: ForkProcess) -> None:
        start(process)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(ForkProcess, "start", interrupted)
    with pytest.raises(KeyboardInterrupt, match="item 0: interrupted"):
        for_each(lambda _: time.sleep(10), [0, 1], 2, "item")
    done.set()


def test_one_of_several_interrupted_alone_is_an_interruption(tmp_path: Path) -> None:
    def work(item: int) -> None:
        if item == 1:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        (tmp_path / str(item)).touch()

    with pytest.raises(KeyboardInterrupt, match="seed 1: interrupted"):
        for_each(work, [0, 1], 2, "train digits vae seed")
    assert (tmp_path / "0").exists()


def test_every_process_that_failed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def work(item: int) -> None:
        os.kill(os.getpid(), {0: signal.SIGKILL, 1: signal.SIGTERM, 2: signal.SIGINT}[item])
        time.sleep(10)

    with pytest.raises(SystemExit) as stopped:
        guarded(lambda: (for_each(work, [0, 1, 2], 3, "train digits vae seed"), None)[1])
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("error: train digits vae seed ") for line in lines)
    told = sorted(line.removeprefix("error: train digits vae seed ").split(",")[0] for line in lines)
    assert told == ["0: its process was killed", "1: its process was ended by SIGTERM", "2: interrupted"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent's life")
def test_a_killed_parent_takes_its_processes_with_it(tmp_path: Path) -> None:
    process = started(tmp_path)
    process.kill()
    process.wait(30)
    assert gone(tmp_path)


def test_several_processes_need_a_single_thread_each() -> None:
    with pytest.raises(ValueError, match="processes: 2 needs threads: 1, not None"):
        TrainingSettings(processes=2)
    assert TrainingSettings(processes=2, threads=1).processes == 2
