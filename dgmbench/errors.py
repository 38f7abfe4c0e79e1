"""Errors that a user can act on, reported in a sentence and without a traceback."""

from __future__ import annotations

import difflib
import errno
import sys
from collections.abc import Iterable


class DgmbenchError(Exception):
    """Base of every error that the user can fix; entry points print it and exit with 2."""


class SettingsError(DgmbenchError):
    """A setting that is unknown, mistyped or out of range."""


class DataError(DgmbenchError):
    """Data that cannot be had, or that is not what its checksum says."""


class LabelsError(DataError):
    """Labels that a data set has not: none at all, too few, or a number that its classes cannot share."""


class CheckpointError(DgmbenchError):
    """A checkpoint or run directory that is missing, damaged or of another run."""


class DamagedFileError(DgmbenchError, ValueError):
    """A file of ours that is cut off, edited by hand or not what it should be; its sentence names it."""


class CapabilityError(DgmbenchError):
    """A metric asked of a model that cannot give it."""


class TrackingError(DgmbenchError):
    """A tracking server that did not take the runs."""


class MachineError(DgmbenchError):
    """What the machine refused: room on a disk, a file, memory."""


def of_machine(error: BaseException) -> MachineError | None:
    """The sentence for a fault of the machine; None for any other error, whose traceback is wanted.

    Faults are every `OSError`, and memory that could not be had: Python's or torch's error.
    """
    if _is_memory(error):
        gist = (str(error).splitlines() or [""])[0]
        return MachineError(f"memory ran out{gist and f' ({gist})'}; {LESS_MEMORY}")
    if not isinstance(error, OSError):
        return None
    where = f"{error.filename}: " if error.filename is not None else ""
    said = f"{where}{error.strerror}" if error.strerror else str(error) or type(error).__name__
    return MachineError(f"{_PREFIXES.get(error.errno, '')}{said}{_ADVICE.get(error.errno, '')}")


LESS_MEMORY = (
    "training.processes: 1 needs the least, and a smaller sampling.batch_size, evaluation.batch_size or "
    "training.batch_size of the model less still"
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_PREFIXES: dict[int | None, str] = dict.fromkeys(_FULL, "no room left on the disk: ")
_ADVICE: dict[int | None, str] = {
    **dict.fromkeys(_FULL, "; make room and run the same command again"),
    **dict.fromkeys(_DENIED, "; give this user the right to it"),
    errno.EMFILE: "; `ulimit -n 4096` allows more",
}


def _is_memory(error: BaseException) -> bool:
    """Python's error, the system's, or torch's: a class of its own on a GPU, a plain one on a CPU."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def suggest(word: str, choices: Iterable[str]) -> str:
    """One clause naming the nearest valid choice and all of them: ``did you mean 'x'? Valid: x, y``."""
    valid = sorted(choices)
    near = difflib.get_close_matches(word, valid, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{hint}Valid: {', '.join(valid)}"
