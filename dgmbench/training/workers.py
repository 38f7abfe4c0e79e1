"""Seeds side by side: one process each, so that a machine's cores are used where one model cannot."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from dgmbench.errors import LESS_MEMORY, DgmbenchError, of_machine
from dgmbench.lifetime import end_with

T = TypeVar("T")
R = TypeVar("R")
# Which of the processes side by side this one is: the row of its progress bar.
_slot = 0


class WorkerError(DgmbenchError):
    """A process of several was killed, or failed with a traceback, which is on standard error."""


def slot() -> int:
    """0 in a process of its own, otherwise its place among those side by side."""
    return _slot


def for_each(work: Callable[[T], R], items: Sequence[T], processes: int, what: str) -> list[R]:
    """``[work(item) for item in items]``, at most `processes` of them at once.

    With more than one, each item runs in a fork of this process, which must not have started threads of
    its own. Ctrl-C is passed on and waited for, so that each can save its state; if this process is
    killed, Linux kills the others with it. After a failure no item is started any more, and those in work
    are waited for. What more than one has to say is in the error's notes.

    Args:
        work: what is done with an item.
        items: seeds, for one.
        processes: how many at once.
        what: names an item in errors, with the item after it: "train digits vae seed".

    Raises:
        DgmbenchError: the first that an item raised; MachineError if the machine refused something;
            WorkerError if a process was killed or failed in another way.
        KeyboardInterrupt: after all have stopped, with the words of each; also if one alone was interrupted.
    """
    if processes <= 1 or len(items) <= 1:
        return [_named(work, item, what) for item in items]
    return _Team(work, items, processes, what).run()


def _named(work: Callable[[T], R], item: T, what: str) -> R:
    """``work(item)``; a fault of the machine is reported with the item's name."""
    try:
        return work(item)
    except Exception as error:
        fault = of_machine(error)
        if fault is None:
            raise
        raise type(fault)(f"{what} {item}: {fault}") from error


class _Team:
    """The items in work and those that wait."""

    def __init__(self, work: Callable[[Any], Any], items: Sequence[Any], processes: int, what: str) -> None:
        self.work, self.items, self.what, self.waiting = work, items, what, list(range(len(items)))
        self.free = list(range(processes))[::-1]
        self.running: dict[Connection, tuple[int, int, BaseProcess]] = {}
        self.results: dict[int, Any] = {}
        self.errors: list[BaseException] = []
        self.kills = _kills_for_memory()

    def run(self) -> list[Any]:
        try:
            while self.running or (self.waiting and not self.errors):
                while self.waiting and self.free and not self.errors:
                    self._start(self.waiting.pop(0))
                self._finish_any()
        except KeyboardInterrupt:
            self._stop()
            raise self._failure() from None
        if self.errors:
            raise self._failure()
        return [self.results[index] for index in range(len(self.items))]

    def _start(self, index: int) -> None:
        place = self.free.pop()
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        arguments = (self.work, self.items[index], self.what, place, theirs, os.getpid())
        process = context.Process(target=_run, args=arguments, daemon=False)
        sys.stdout.flush()
        sys.stderr.flush()
        with _ctrl_c_held():
            process.start()
            theirs.close()
            self.running[ours] = (index, place, process)

    def _finish_any(self) -> None:
        """Wait until at least one has ended."""
        for connection in wait(list(self.running)):
            assert isinstance(connection, Connection)
            self._finish(connection)

    def _finish(self, connection: Connection) -> None:
        index, place, process = self.running.pop(connection)
        self.free.append(place)
        try:
            done, value = connection.recv()
        except EOFError:
            done, value = False, None
        process.join()
        connection.close()
        if done:
            self.results[index] = value
        else:
            self.errors.append(value or self._ended(index, process.exitcode or 0))

    def _ended(self, index: int, code: int) -> WorkerError:
        """What an exit code without a message says, and how to go on."""
        name = f"{self.what} {self.items[index]}"
        if code >= 0:
            return WorkerError(f"{name}: its process ended with exit code {code}")
        if -code != signal.SIGKILL:
            return WorkerError(f"{name}: its process was ended by {signal.Signals(-code).name}")
        sure = _kills_for_memory() > self.kills
        why = "by the system, for memory" if sure else "probably by the system, for memory"
        return WorkerError(
            f"{name}: its process was killed, {why}; {LESS_MEMORY}. Then run the same command again: it goes "
            "on from the last checkpoints, and nothing that is finished is lost"
        )

    def _stop(self) -> None:
        """Pass Ctrl-C on, and wait until all have saved what they had; a second one kills them."""
        for _, _, process in self.running.values():
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, signal.SIGINT)
        try:
            # Received and not only joined: a process ends when what it sends is taken.
            while self.running:
                self._finish_any()
        except KeyboardInterrupt:
            for _, _, process in self.running.values():
                process.kill()
            raise

    def _failure(self) -> BaseException:
        """The first error with the others as its notes; an interruption if there is nothing worse."""
        stops = [error for error in self.errors if isinstance(error, KeyboardInterrupt)]
        faults = [error for error in self.errors if not isinstance(error, KeyboardInterrupt)]
        if not faults:
            return KeyboardInterrupt("; ".join(sorted(map(str, stops))))
        for other in faults[1:] + stops:
            faults[0].add_note(str(other))
        return faults[0]


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Let Ctrl-C wait: a process that was started but is not yet known would not receive it.

    The process inherits the mask, which keeps a signal for it. Here another thread may take the signal, and
    Python acts on it in this one; so the handler waits too.
    """
    held: list[bool] = []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    handler = signal.signal(signal.SIGINT, lambda *_: held.append(True))
    try:
        yield
    finally:
        try:
            signal.signal(signal.SIGINT, handler)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if held:
        raise KeyboardInterrupt


def _kills_for_memory() -> int:
    """How many processes Linux has killed for lack of memory since it started; 0 if it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _run(
    work: Callable[[Any], Any], item: Any, what: str, place: int, connection: Connection, parent: int
) -> None:
    """The body of a process: do the work and send the result or the error."""
    global _slot
    _slot = place
    # A group of its own: the terminal's Ctrl-C reaches the parent alone, which passes it on once.
    os.setpgrp()
    end_with(parent)
    answer = _answer(work, item, what)
    # A message cut in two by Ctrl-C could not be read.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection.send(answer)


def _answer(work: Callable[[Any], Any], item: Any, what: str) -> tuple[bool, Any]:
    """(True, result) or (False, the user's error or where it was interrupted)."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return True, _named(work, item, what)
    except DgmbenchError as error:
        return False, error
    except KeyboardInterrupt as stop:
        return False, KeyboardInterrupt(str(stop) or f"{what} {item}: interrupted")
