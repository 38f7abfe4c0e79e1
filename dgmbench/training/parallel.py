"""Seeds side by side: one process each, so that a machine's cores are used where one model cannot."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from dgmbench.errors import DgmbenchError

T = TypeVar("T")
R = TypeVar("R")
# Which of the processes side by side this one is: the row of its progress bar.
_slot = 0
_PR_SET_PDEATHSIG = 1


class WorkerError(DgmbenchError):
    """A process of several failed; its own message or traceback is on standard error."""


def slot() -> int:
    """0 in a process of its own, otherwise its place among those side by side."""
    return _slot


def for_each(work: Callable[[T], R], items: Sequence[T], processes: int) -> list[R]:
    """``[work(item) for item in items]``, at most `processes` of them at once.

    With more than one, each item runs in a fork of this process, which must not have started threads of
    its own. Ctrl-C is passed on and waited for, so that each can save its state; if this process is
    killed, Linux kills the others with it.

    Raises:
        DgmbenchError: the first that an item raised; WorkerError if one failed in another way.
        KeyboardInterrupt: after all have stopped.
    """
    if processes <= 1 or len(items) <= 1:
        return [work(item) for item in items]
    return _Team(work, items, processes).run()


class _Team:
    """The items in work and those that wait."""

    def __init__(self, work: Callable[[Any], Any], items: Sequence[Any], processes: int) -> None:
        self.work, self.items, self.waiting = work, items, list(range(len(items)))
        self.free = list(range(processes))[::-1]
        self.running: dict[Connection, tuple[int, int, BaseProcess]] = {}
        self.results: dict[int, Any] = {}
        self.errors: list[BaseException] = []

    def run(self) -> list[Any]:
        try:
            while self.running or (self.waiting and not self.errors):
                while self.waiting and self.free and not self.errors:
                    self._start(self.waiting.pop(0))
                for connection in wait(list(self.running)):
                    assert isinstance(connection, Connection)
                    self._finish(connection)
        except KeyboardInterrupt:
            self._stop()
            raise
        if self.errors:
            raise self.errors[0]
        return [self.results[index] for index in range(len(self.items))]

    def _start(self, index: int) -> None:
        place = self.free.pop()
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        arguments = (self.work, self.items[index], place, theirs, os.getpid())
        process = context.Process(target=_run, args=arguments, daemon=False)
        sys.stdout.flush()
        sys.stderr.flush()
        process.start()
        theirs.close()
        self.running[ours] = (index, place, process)

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
            code = process.exitcode
            self.errors.append(value or WorkerError(f"process {process.pid} ended with exit code {code}"))

    def _stop(self) -> None:
        """Pass Ctrl-C on, and wait until all have saved what they had; a second one is passed on too."""
        for _, _, process in self.running.values():
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, signal.SIGINT)
        try:
            for _, _, process in self.running.values():
                process.join()
        except KeyboardInterrupt:
            for _, _, process in self.running.values():
                process.kill()
            raise


def _run(work: Callable[[Any], Any], item: Any, place: int, connection: Connection, parent: int) -> None:
    """The body of a process: report (True, result) or (False, the user's error)."""
    global _slot
    _slot = place
    # A group of its own: the terminal's Ctrl-C reaches the parent alone, which passes it on once.
    os.setpgrp()
    _die_with(parent)
    try:
        connection.send((True, work(item)))
    except DgmbenchError as error:
        connection.send((False, error))
    except KeyboardInterrupt:
        os._exit(130)


def _die_with(parent: int) -> None:
    """Be killed when the parent dies (Linux only; elsewhere a killed parent leaves its items to finish)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
