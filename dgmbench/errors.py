"""Errors that a user can act on, told in a sentence and without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DgmbenchError(Exception):
    """Base of every error that is the user's to mend; entry points print it and exit with 2."""


class SettingsError(DgmbenchError):
    """A setting that is unknown, mistyped or out of range."""


class DataError(DgmbenchError):
    """Data that cannot be had, or that is not what its checksum says."""


class CheckpointError(DgmbenchError):
    """A checkpoint or run directory that is missing, damaged or of another run."""


class CapabilityError(DgmbenchError):
    """A metric asked of a model that cannot give it."""


class TrackingError(DgmbenchError):
    """A tracking server that did not take the runs."""


def suggest(word: str, choices: Iterable[str]) -> str:
    """One clause naming the nearest valid choice and all of them: ``did you mean 'x'? Valid: x, y``."""
    valid = sorted(choices)
    near = difflib.get_close_matches(word, valid, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{hint}Valid: {', '.join(valid)}"
