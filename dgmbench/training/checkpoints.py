"""Checkpoints that survive a kill, a full disk and a damaged file, and load without unpickling code."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from dgmbench.errors import CheckpointError
from dgmbench.files import replacing

MAGIC = b"dgmbench checkpoint sha256 "
HEADER_BYTES = len(MAGIC) + 64 + 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings and containers of them); the last one becomes ``.previous``.

    Raises:
        CheckpointError: if it cannot be written; what was there before is kept.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getbuffer()
    try:
        with replacing(path) as aside:
            with open(aside, "wb") as handle:
                handle.write(MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n")
                handle.write(payload)
                handle.flush()
                os.fsync(handle.fileno())
            if path.exists():
                os.replace(path, previous_of(path))
    except OSError as error:
        what = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error)
        raise CheckpointError(
            f"{path}: {what}; the checkpoint before it is kept. Make room and run the same command again: "
            "training goes on from there."
        ) from error


def previous_of(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read one checkpoint file, on the CPU.

    Raises:
        CheckpointError: if it is damaged: with the checksum expected and the one found.
    """
    raw = path.read_bytes()
    expected = raw[len(MAGIC) : HEADER_BYTES - 1].decode("ascii", "replace")
    if not raw.startswith(MAGIC):
        raise CheckpointError(f"{path} is damaged: it does not start like a checkpoint")
    found = hashlib.sha256(memoryview(raw)[HEADER_BYTES:]).hexdigest()
    if found != expected:
        raise CheckpointError(f"{path} is damaged: expected SHA-256 {expected}, found {found}")
    return load_tensors(io.BytesIO(raw[HEADER_BYTES:]), path)


def load_tensors(source: io.BytesIO | Path, named: Path) -> dict[str, Any]:
    """torch.load on the CPU, refusing anything but plain data."""
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{named} is damaged and cannot be read: {error}") from error


def latest_checkpoint(path: Path, fingerprint: str, say: Any = print) -> dict[str, Any] | None:
    """The newest sound checkpoint of this very run, or None to start afresh.

    A damaged newest one is named and the one before it is used. One of another fingerprint (other settings,
    data or code) is not used.

    Raises:
        CheckpointError: if there are checkpoints and every one is damaged.
    """
    damages = []
    candidates = [candidate for candidate in (path, previous_of(path)) if candidate.exists()]
    for candidate in candidates:
        try:
            state = load_checkpoint(candidate)
        except CheckpointError as error:
            damages.append(str(error))
            say(f"warning: {error}")
            continue
        if state["fingerprint"] == fingerprint:
            return state
        say(f"{candidate} is of other settings, data or code; starting afresh")
        return None
    if damages:
        which = " and ".join(str(candidate) for candidate in candidates)
        raise CheckpointError(
            f"{'; '.join(damages)}. No sound checkpoint is left: delete {which} to start this seed again."
        )
    return None
