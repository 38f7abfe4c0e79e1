"""Writing files so that a crash, a full disk or Ctrl-C leaves the old version whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from dgmbench.errors import DamagedFileError, DataError


def _target(path: Path) -> Path:
    """The file that is written for `path`: what a link leads to, or the link where that is write-protected.

    DVC protects the files of its cache, to which outputs may be links; nothing else may write into them.

    Raises:
        OSError: for links that lead in a circle.
    """
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if not target.exists():
        return target
    ours = target.is_file() and target.stat().st_mode & 0o222
    return target if ours else path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success flush it to disk and rename it over `path`.

    On any exception (a full disk included) the sibling is removed and `path` keeps its old content. Of a link
    the target is written, and the link stays.
    """
    path = _target(Path(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    _refuse_special(path)
    try:
        yield aside
        with open(aside, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _refuse_special(path: Path) -> None:
    """Raise OSError for a device, a pipe or a socket, which a file would take the place of."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is no regular file, and none is put in its place", str(path))


@contextmanager
def text_output(path: Path) -> Iterator[TextIO]:
    """A UTF-8 handle to `path`, whose characters that UTF-8 does not have are written as escapes.

    A regular file is replaced whole or not at all. A pipe, a terminal and `/dev/stdout` are written to. So is
    a file that standard output or error goes to, as a renamed one would part from what is printed.
    Raises OSError where that cannot be done, for a write-protected file, and for a disk (a block device).
    """
    how: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    try:
        found = os.stat(path)
    except FileNotFoundError:
        found = None
    own = None if found is None else _own_stream(found)
    if own is not None:
        with open(os.dup(own), "w", **how) as handle:
            yield handle
    elif found is not None and (not stat.S_ISREG(found.st_mode) or _is_descriptor(path)):
        if stat.S_ISBLK(found.st_mode):
            raise OSError(errno.EINVAL, "it is a disk", str(path))
        with open(path, "w", **how) as handle:
            yield handle
    else:
        if found is not None and not found.st_mode & 0o222:
            raise PermissionError(errno.EACCES, "it is write-protected", str(path))
        with replacing(path) as aside, open(aside, "w", **how) as handle:
            yield handle


def _own_stream(found: os.stat_result) -> int | None:
    """1 or 2 if standard output or error goes to that file."""
    for descriptor in (1, 2):
        try:
            if os.path.samestat(found, os.fstat(descriptor)):
                return descriptor
        except OSError:  # closed
            continue
    return None


def _is_descriptor(path: Path) -> bool:
    """Whether `path` names an open file: something in /dev/fd or /proc/<process>/fd."""
    return re.fullmatch(r"/(dev|proc/.*)/fd", os.path.realpath(Path(path).parent)) is not None


def expanded(path: Path | str) -> Path:
    """`path` with `~` and `~user` replaced by that user's home. Raises DataError if there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise DataError(f"{path}: there is no such user, or no home folder") from None


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """The parsed content of a JSON file. Raises `DamagedFileError` for what is no JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        raise DamagedFileError(f"{path} is not JSON (nested too deeply)") from None
    except ValueError as error:
        raise DamagedFileError(f"{path} is not JSON ({error})") from error


def read_object(path: Path, required: Collection[str] = ()) -> dict[str, Any]:
    """The JSON object in a file. Raises `DamagedFileError` for other content or missing keys."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise DamagedFileError(f"{path} holds {type(found).__name__}, not an object")
    if missing := sorted(set(required) - set(found)):
        raise DamagedFileError(f"{path} lacks {', '.join(missing)}")
    return found


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, in hexadecimal: equal values, equal hash."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
