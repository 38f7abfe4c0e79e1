"""Folders that settings and the environment name: `~` is a home, and impossible names are refused."""

from __future__ import annotations

import os
from pathlib import Path

from dgmbench.errors import DataError, SettingsError
from dgmbench.files import expanded
from dgmbench.settings.block import shown
from dgmbench.settings.schema import Params

MIRROR_VARIABLE = "DGMBENCH_MIRROR"


def with_places(params: Params, where: str) -> Params:
    """Settings whose `evaluation.store` has no `~` left.

    Raises:
        SettingsError: for an empty name, and the home of a user whom there is not.
    """
    _place(params.data.mirror, f"{where}: 'data.mirror'")
    store = _place(params.evaluation.store, f"{where}: 'evaluation.store'")
    if store is None or not str(params.evaluation.store).startswith("~"):
        return params
    evaluation = params.evaluation.model_copy(update={"store": str(store)})
    return params.model_copy(update={"evaluation": evaluation})


def mirror_of(params: Params) -> Path | None:
    """The local mirror directory of the settings, or of DGMBENCH_MIRROR, or none.

    Raises:
        SettingsError: where the one that is named is no folder.
    """
    if params.data.mirror is None:
        return mirror_of_environment()
    return folder_of(params.data.mirror, "'data.mirror'")


def mirror_of_environment() -> Path | None:
    """The directory that DGMBENCH_MIRROR names, if it is set. Raises SettingsError if that is no folder."""
    named = os.environ.get(MIRROR_VARIABLE)
    return folder_of(named, f"the variable {MIRROR_VARIABLE}") if named else None


def folder_of(named: str, what: str) -> Path:
    """The folder that `what` names, `~` replaced. Raises SettingsError if there is none."""
    path = _place(named, what)
    assert path is not None
    try:
        if path.is_dir():
            return path
        fault = "that is a file" if path.exists() else "there is nothing of that name"
    except OSError as error:
        fault = error.strerror or str(error)
    raise SettingsError(f"{what} is {shown(named)}: {fault}; name a folder of raw files, or none")


def _place(named: str | None, what: str) -> Path | None:
    if named is None:
        return None
    if not named:
        raise SettingsError(f"{what} is '': name a folder, or write null for none")
    try:
        return expanded(named)
    except DataError:
        fault = "there is no such user, or no home folder"
    except ValueError:
        fault = "no user can be called so"
    raise SettingsError(f"{what} is {shown(named)}: {fault}")
