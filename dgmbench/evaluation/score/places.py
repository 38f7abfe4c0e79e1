"""Folders and files that `score` writes and reads: what is read is never written over."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dgmbench.errors import SettingsError
from dgmbench.evaluation.score.folders import list_images
from dgmbench.files import expanded
from dgmbench.settings import mirror_of_environment


def check_target(path: Path | None, inputs: Mapping[str, Path]) -> Path | None:
    """`--csv` with `~` replaced.

    inputs: the files and folders that are read, by what they are called.
    Raises SettingsError for a folder, a file in none, and an input or a file in one, links resolved.
    """
    if path is None:
        return None
    target = expanded(path)
    try:
        fits = not target.is_dir() and target.absolute().parent.is_dir()
        holder = next((what for what, read in inputs.items() if _is_or_holds(read, target)), None)
    except OSError as error:
        raise SettingsError(f"--csv {path}: {error}") from error
    if not fits:
        raise SettingsError(f"--csv {path}: name a file in a folder that there is")
    if holder is not None:
        raise SettingsError(f"--csv {path} would write over what is read: it is, or lies in, {holder}; "
                            "name another file")  # fmt: skip
    return target


def _is_or_holds(read: Path, target: Path) -> bool:
    real = Path(os.path.realpath(target))
    if real.is_relative_to(os.path.realpath(read)):
        return True
    if not real.is_file() or not read.exists():
        return False
    # Links in a folder of images are followed, and a file may have several names on its disk.
    files = list_images(read).images if read.is_dir() else [read]
    return any(each.exists() and each.samefile(real) for each in files)


def store_folder(named: str) -> str | None:
    """`--store` with `~` replaced; None for ''. Raises SettingsError where no folder can be."""
    if not named:
        return None
    folder = expanded(named)
    try:
        there = next(each for each in (folder, *folder.absolute().parents) if _is_there(each))
    except OSError as error:
        raise SettingsError(f"--store {named}: {error.strerror or error}") from error
    if not there.is_dir():
        raise SettingsError(f"--store {named}: {there} is no folder; name another, or '' for none")
    return str(folder)


def _is_there(path: Path) -> bool:
    """Links that lead to nothing are there. Raises OSError for names that nothing can have."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def mirror_folder(named: Path | None) -> Path | None:
    """`--mirror` with `~` replaced, or None where DGMBENCH_MIRROR is asked.

    Raises SettingsError where the one that is named is no folder.
    """
    if named is None:
        mirror_of_environment()
        return None
    folder = expanded(named)
    if not os.path.isdir(folder):
        raise SettingsError(f"--mirror {named}: there is no such folder")
    return folder
