"""What was computed once and is not computed again: values and files, by a key of their inputs.

    store = Store("store")
    floor = store.remembered(("floor", data_sha256, limit), lambda: nearest(images))

A key names everything that the result depends on: hashes of data, settings, code (`provenance.code_hash`) and
versions. An entry that is damaged is reported on standard error and computed again. A folder that cannot be
written costs the reuse and not the result. Entries do not change. Removing one of them, or the folder, is
always safe (`python -m dgmbench forget`, `make clean`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from dgmbench.errors import DamagedFileError
from dgmbench.files import read_object, replacing, sha256_file, sha256_json, write_json
from dgmbench.packed import DamagedError, pack, unpack

T = TypeVar("T")
# Where runs and results are remembered unless the settings say otherwise.
STORE = Path("store")
MANIFEST = "entry.json"


class Store:
    """Entries under a folder, which is made when first needed; None remembers nothing."""

    def __init__(self, folder: Path | str | None) -> None:
        self.folder = None if folder is None else Path(folder)

    def path(self, key: Any, kind: str = "value") -> Path:
        """Where the entry of a key is, or would be. The key is made of JSON values and tuples."""
        assert self.folder is not None
        name = sha256_json(key)
        return self.folder / name[:2] / f"{name}.{kind}"

    def remembered(
        self, key: Any, compute: Callable[[], T], *, sound: Callable[[Any], bool] = lambda value: True
    ) -> T:
        """``compute()``, once for equal keys. What it may return: see `dgmbench.packed`.

        sound: whether a value that was read is one that `compute` could have returned.
        """
        if self.folder is None:
            return compute()
        path = self.path(key)
        try:
            value = unpack(path.read_bytes())
            if sound(value):
                _used(path)
                return value
            _report(path, "does not hold what was asked for")
        except FileNotFoundError:
            pass
        except (OSError, DamagedError) as error:
            _report(path, error)
        computed = compute()
        try:
            with replacing(path) as aside:
                aside.write_bytes(pack(computed))
        except OSError as error:
            _report_unwritten(path, error)
        return computed

    def files(self, key: Any, folder: Path, compute: Callable[[Path], T]) -> T:
        """``compute(empty folder)``, once for equal keys; the files that it writes are put into `folder`.

        They replace files of the same names there and leave others alone. Nothing is put there if `compute`
        fails. It returns what JSON can hold.
        """
        found = self.restored(key, folder)
        if found is not None:
            return found[0]
        work = folder / f".{sha256_json(key)[:16]}.{os.getpid()}.tmp"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            value = compute(work)
            self.keep(key, work, value)
            _move(work, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return value

    def holds(self, key: Any) -> bool:
        """Whether there is an entry of files, sound or not."""
        return self.folder is not None and self.path(key, "files").is_dir()

    def keep(self, key: Any, source: Path, value: Any = None, names: list[str] | None = None) -> None:
        """Make the entry of `key` from files that lie in `source`: all of them, or `names`.

        By hard links where that can be done. An entry that is there is replaced.
        """
        if self.folder is None:
            return
        path = self.path(key, "files")
        aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            hashes = {}
            for name in _names(source) if names is None else names:
                hashes[name] = sha256_file(source / name)
                _link(source / name, aside / "files" / name)
            write_json(aside / MANIFEST, _signed({"files": hashes, "value": value}))
            shutil.rmtree(path, ignore_errors=True)
            os.replace(aside, path)
        except OSError as error:
            # Another process may have made the same entry at the same time.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                _report_unwritten(path, error)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def restored(self, key: Any, folder: Path) -> tuple[Any] | None:
        """Put the files of an entry into `folder`, if there is one, and return its value.

        An entry that is damaged is reported and removed.
        """
        if not self.holds(key):
            return None
        path = self.path(key, "files")
        work = folder / f".{path.stem[:16]}.{os.getpid()}.tmp"
        try:
            entry = _checked(path / MANIFEST)
            for name, expected in entry["files"].items():
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path / "files" / name, work / name)
                if sha256_file(work / name) != expected:
                    raise DamagedFileError("is damaged")
            _move(work, folder)
            _used(path / MANIFEST)
        except (OSError, DamagedFileError) as error:
            _report(path, error)
            shutil.rmtree(path, ignore_errors=True)
            return None
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return (entry["value"],)

    def trim(self, days: float) -> tuple[int, int]:
        """Remove the entries that were not used for so many days; returns their number and bytes."""
        removed, size = 0, 0
        for path in [] if self.folder is None else sorted(self.folder.glob("??/*.*")):
            used = (path / MANIFEST if path.is_dir() else path).stat().st_mtime
            if time.time() - used >= days * 86400:
                size += sum(each.stat().st_size for each in (path, *path.rglob("*")) if each.is_file())
                removed += 1
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return removed, size


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _link(source: Path, target: Path) -> None:
    """A hard link to what `source` is or leads to; a copy on another file system.

    Nothing here writes into a file that is there (`replacing`), and DVC neither.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)


def _move(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in _names(source) if source.is_dir() else []:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(source / name, target / name)


def _signed(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"sha256": sha256_json(entry)}


def _checked(path: Path) -> dict[str, Any]:
    """What `_signed` signed. Raises DamagedFileError for anything else."""
    entry = read_object(path, ("files", "value", "sha256"))
    if entry["sha256"] != _signed({name: entry[name] for name in ("files", "value")})["sha256"]:
        raise DamagedFileError("is damaged")
    return entry


def _used(path: Path) -> None:
    """Note that an entry was asked for, where it can be written."""
    with contextlib.suppress(OSError):
        os.utime(path)


def _report(path: Path, fault: object) -> None:
    said = f"cannot be read ({fault})" if isinstance(fault, OSError) else fault
    print(f"{path} {said}; it is computed again", file=sys.stderr)


def _report_unwritten(path: Path, error: OSError) -> None:
    print(f"{path} cannot be written ({error}); the result is not remembered", file=sys.stderr)
