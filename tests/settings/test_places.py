"""Folders that settings name: the mirror of raw data and the cache of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dgmbench.errors import SettingsError
from dgmbench.settings import Params, check_machine, mirror_of, validate

SMALL: dict[str, Any] = {
    "pipeline": "small",
    "datasets": ["digits"],
    "seeds": [0],
    "models": {"ppca": {"family": "ppca", "view": "gray", "latent_dims": [2]}},
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a folder and a file in it, and no mirror in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DGMBENCH_MIRROR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "raw").mkdir()
    (tmp_path / "file").touch()
    return tmp_path


def settings(section: str, **changes: Any) -> Params:
    return validate(SMALL | {section: changes}, "small.yaml")


@pytest.mark.parametrize(("section", "key"), [("data", "mirror"), ("evaluation", "store")])
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("", "name a folder, or write null"),
        ("~nosuchuser/x", "there is no such user"),
        ("~\ud800", "no user"),
    ],
)
def test_what_no_folder_is_called_is_refused(section: str, key: str, value: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=rf"^small.yaml: '{section}.{key}' is .*: {fault}"):
        settings(section, **{key: value})


def test_a_tilde_is_the_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings("evaluation", store="~/cache").evaluation.store == str(home / "cache")
    assert settings("evaluation", store="a/~b").evaluation.store == "a/~b"
    assert mirror_of(settings("data", mirror="~/raw")) == home / "raw"
    monkeypatch.setenv("DGMBENCH_MIRROR", "~/raw")
    assert mirror_of(settings("data")) == home / "raw"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("/nonexistent", "there is nothing of that name"),
        ("file", "that is a file"),
        ("~/file", "that is a file"),
        pytest.param("n" * 300, "File name too long", id="a long name"),
    ],
)
def test_a_mirror_that_is_no_folder_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, value: str, fault: str
) -> None:
    with pytest.raises(SettingsError, match=rf"^'data.mirror' is .*: {fault}; name a folder"):
        check_machine(settings("data", mirror=value), home)
    monkeypatch.setenv("DGMBENCH_MIRROR", value)
    with pytest.raises(SettingsError, match=rf"^the variable DGMBENCH_MIRROR is .*: {fault}; name a folder"):
        check_machine(settings("data"), home)
    # What the settings name goes before the variable.
    check_machine(settings("data", mirror="raw"), home)


def test_a_variable_without_a_value_names_no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGMBENCH_MIRROR", "")
    assert mirror_of(settings("data")) is None
    monkeypatch.setenv("DGMBENCH_MIRROR", "~nosuchuser/x")
    with pytest.raises(SettingsError, match=r"the variable DGMBENCH_MIRROR is '~nosuchuser/x': there is no"):
        mirror_of(settings("data"))
