"""A source archive, git that refuses, git that is missing: what runs, and what is said of the commit."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from places import ROOT

from dgmbench.provenance import PACKAGES, git_commit

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *IDENTITY, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the packages' names, as an archive leaves them."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for package in PACKAGES:
        (tmp_path / "project" / package).mkdir(parents=True)
        (tmp_path / "project" / package / "__init__.py").touch()
    return tmp_path / "project"


def committed(repository: Path, *names: str) -> str:
    git(repository, "init", "--quiet")
    git(repository, "add", *names)
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "first")
    return git(repository, "rev-parse", "HEAD")


def test_the_commit_is_that_of_the_sources(sources: Path) -> None:
    commit = committed(sources, ".")
    assert git_commit(sources) == commit
    (sources / "dgmbench" / "__init__.py").write_text("# edited\n")
    assert git_commit(sources) == f"{commit}-dirty"


def test_an_archive_has_no_commit_and_not_that_of_a_repository_around_it(
    sources: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert git_commit(sources) is None
    committed(sources.parent)
    assert git_commit(sources) is None
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_another_user_is_told_with_git_s_advice(
    sources: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    committed(sources, ".")
    os.chown(sources / ".git", 12345, 12345)
    os.chown(sources, 12345, 12345)
    assert git_commit(sources) is None
    told = capsys.readouterr().err
    assert told.startswith("the commit is not recorded: git says 'fatal: detected dubious ownership")
    assert f"git config --global --add safe.directory {sources}" in told and told.count("\n") == 1


def test_git_that_is_not_installed_is_told_in_a_repository_alone(
    sources: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(sources))
        assert git_commit(sources) is None
    assert capsys.readouterr().err == ""
    committed(sources, ".")
    monkeypatch.setenv("PATH", str(sources))
    assert git_commit(sources) is None
    assert capsys.readouterr().err.startswith("the commit is not recorded: git cannot be run")


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("before", ["", "[cache]\n    dir = /other\n"])
def test_make_tells_dvc_to_run_without_git_where_there_is_none(sources: Path, before: str) -> None:
    shutil.copy(ROOT / "Makefile", sources)
    (sources / ".dvc").mkdir()
    config = sources / ".dvc" / "config.local"
    if before:
        config.write_text(before)

    def made() -> str:
        return subprocess.run(
            ["make", "--silent", "scm"], cwd=sources, check=True, capture_output=True, text=True
        ).stdout

    assert "no git repository here" in made()
    assert config.read_text() == before + "[core]\n    no_scm = true\n"
    assert made() == ""
    assert config.read_text().count("no_scm") == 1
    git(sources, "init", "--quiet")
    assert made() == ""
    assert "no_scm" not in config.read_text() and config.read_text().startswith(before)
