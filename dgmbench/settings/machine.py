"""Checks of the folders on this machine: what DVC would refuse after the work is refused before it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dgmbench.errors import SettingsError
from dgmbench.settings.places import mirror_of
from dgmbench.settings.schema import Params

REPORT_FILES = ("results.csv", "headlines.csv", "index.html")
REPORT_FOLDERS = ("tables", "figures", "curves", "metrics")
STORE = Path("mlflow.db")
# Written too, and none of DVC's: links out of the repository are fine here.
STATE = ("checkpoints", "mlartifacts")
# Where it can only be read, it serves what it holds.
CACHES = ("downloads",)
_NO_LINKS_OUT = "and DVC keeps no outputs outside of the repository"
_ON_THAT_DISK = "put DVC's cache on that disk: `dvc config --local cache.dir FOLDER`"


def outputs(params: Params) -> list[Path]:
    """What the stages of dvc.yaml leave, relative to the repository."""
    return [*_output_folders(params), *_output_files(params)]


def _output_folders(params: Params) -> list[Path]:
    found = [Path("provenance")]
    for dataset in params.datasets:
        runs, results = Path("runs", dataset), Path("results", dataset)
        found += [Path("data", dataset), runs / "classifier", results / "classifier"]
        found += [folder / model for model in params.models for folder in (runs, results)]
        found += [results / f"control-{control}" for control in params.controls]
    return [*found, *(Path("reports", params.pipeline, page) for page in REPORT_FOLDERS)]


def _output_files(params: Params) -> list[Path]:
    return [*(Path("reports", params.pipeline, page) for page in REPORT_FILES), STORE]


def check_machine(params: Params, root: Path = Path()) -> None:
    """Refuse folders that DVC cannot keep outputs in, and others that cannot be written or read.

    Raises:
        SettingsError: one line for each fault. Folders of outputs must, if there, be folders that can be
            written, and no links that lead to nothing or out of the Git repository; an output must be no
            mount point, which DVC cannot empty. Other folders that are written may be links. A mirror that
            is named must be a folder.
    """
    mirror_of(params)
    root = root.absolute()
    faults = [*_faults_of_outputs(params, root), *_faults_of_others(params, root)]
    if faults:
        raise SettingsError("\n".join(faults))


def _faults_of_outputs(params: Params, root: Path) -> Iterator[str]:
    git, folders, files = _git_root(root), _output_folders(params), _output_files(params)
    above = [folder for output in (*folders, *files) for folder in reversed(output.parents[:-1])]
    for folder in dict.fromkeys((*above, *folders)):
        yield from _fault_of_folder(folder, root, git)
    for file in files:
        yield from _fault_of_file(file, root)
    for output in (*folders, *files):
        if os.path.ismount(root / output):
            yield (
                f"{output} is a mount point, and DVC cannot empty it: unmount it and mount "
                f"{output.parent} instead, or move DVC's cache there: `dvc config --local cache.dir FOLDER`"
            )


def _fault_of_folder(folder: Path, root: Path, git: Path | None) -> Iterator[str]:
    path = root / folder
    target = Path(os.path.realpath(path))
    if path.is_symlink() and not target.exists():
        yield _dangling(folder, target)
    elif path.is_symlink() and git is not None and not target.is_relative_to(git):
        yield f"{folder} is a link to {target}, {_NO_LINKS_OUT}: make {folder} a folder, and {_ON_THAT_DISK}"
    else:
        yield from _fault_of_place(folder, path)


def _fault_of_file(file: Path, root: Path) -> Iterator[str]:
    """DVC itself makes outputs links to files of its cache, so that links are fine."""
    path = root / file
    if path.is_symlink() and not path.exists():
        yield _dangling(file, Path(os.path.realpath(path)))
    elif path.is_dir():
        yield f"{file} is a folder; stages write a file of that name: move it away"


def _faults_of_others(params: Params, root: Path) -> Iterator[str]:
    store = params.evaluation.store
    for folder in (*STATE, *CACHES, *([] if store is None else [store])):
        try:
            yield from _fault_of_new(Path(folder), root)
        except OSError as error:
            yield f"{folder} cannot be written: {error.strerror or error}: name another folder"


def _fault_of_new(folder: Path, root: Path) -> Iterator[str]:
    """What hinders a folder: itself, or the nearest above it that there is."""
    for each in (folder, *folder.parents):
        path = root / each
        if path.is_symlink() and not path.exists():
            yield _dangling(each, Path(os.path.realpath(path)))
            return
        if path.exists():
            yield from _fault_of_place(each, path, written=str(folder) in STATE)
            return


def _fault_of_place(name: Path, path: Path, written: bool = True) -> Iterator[str]:
    if path.exists() and not path.is_dir():
        yield f"{name} is a file; stages write a folder of that name: move it away"
    elif written and path.is_dir() and not os.access(path, os.W_OK | os.X_OK):
        yield f"{name} cannot be written by this user: change its owner or permissions"


def _dangling(name: Path, target: Path) -> str:
    return f"{name} is a link to {target}, which is not there: remove the link, or make what it leads to"


def _git_root(root: Path) -> Path | None:
    """The top of the Git working tree around `root`, links resolved; None outside of one."""
    resolved = root.resolve()
    return next((each for each in (resolved, *resolved.parents) if (each / ".git").exists()), None)
