"""Checks of the folders on this machine: what DVC would refuse after the work is refused before it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dgmbench.errors import SettingsError
from dgmbench.settings.schema import Params


def outputs(params: Params) -> list[Path]:
    """What the stages of dvc.yaml leave, relative to the repository."""
    found = [Path("provenance")]
    for dataset in params.datasets:
        runs, results = Path("runs", dataset), Path("results", dataset)
        found += [Path("data", dataset), runs / "classifier", results / "classifier"]
        found += [folder / model for model in params.models for folder in (runs, results)]
        found += [results / f"control-{control}" for control in params.controls]
    report = Path("reports", params.pipeline)
    pages = ("results.csv", "index.html", "tables", "figures", "metrics.json", "curves")
    return [*found, *(report / page for page in pages), Path("mlflow.db")]


def check_machine(params: Params, root: Path = Path()) -> None:
    """Refuse folders that DVC cannot keep outputs in.

    Raises:
        SettingsError: for a folder of outputs that is a file, cannot be written, or is a link that leads to
            nothing or out of the Git repository, and for an output that is a mount point, which DVC cannot
            empty.
    """
    root = root.absolute()
    git = _git_root(root)
    for output in outputs(params):
        for folder in _folders(output):
            _check_folder(folder, root, git)
        if os.path.ismount(root / output):
            raise SettingsError(
                f"{output} is a mount point, and DVC cannot empty it: unmount it and mount "
                f"{output.parent} instead, or move DVC's cache there: `dvc config --local cache.dir FOLDER`"
            )


def _folders(output: Path) -> Iterator[Path]:
    """The folders above an output, outermost first."""
    return reversed(output.parents[:-1])


def _check_folder(folder: Path, root: Path, git: Path | None) -> None:
    path = root / folder
    if path.is_symlink():
        target = Path(os.path.realpath(path))
        if not target.exists():
            raise SettingsError(f"{folder} is a link to {target}, which is not there")
        if git is not None and not target.is_relative_to(git):
            raise SettingsError(
                f"{folder} is a link to {target}, and DVC keeps no outputs outside of the repository: make "
                f"{folder} a folder, and put DVC's cache on that disk: `dvc config --local cache.dir FOLDER`"
            )
    if path.exists() and not path.is_dir():
        raise SettingsError(f"{folder} is a file; stages write a folder of that name: move it away")
    if path.is_dir() and not os.access(path, os.W_OK | os.X_OK):
        raise SettingsError(f"{folder} cannot be written by this user: change its owner or permissions")


def _git_root(root: Path) -> Path | None:
    """The top of the Git working tree around `root`, links resolved; None outside of one."""
    resolved = root.resolve()
    return next((each for each in (resolved, *resolved.parents) if (each / ".git").exists()), None)
