from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import ROOT

from dgmbench.errors import SettingsError
from dgmbench.settings import Params, check_machine
from dgmbench.settings.machine import outputs

PARAMS = Params.model_validate(
    {
        "pipeline": "some",
        "datasets": ["digits"],
        "seeds": [0],
        "models": {"vae": {}},
        "controls": {"pixel_shift": {}},
    }
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    return root


def test_the_outputs_are_those_of_dvc() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    names = {"item.dataset": "digits", "item.model": "vae", "item.control": "pixel_shift", "pipeline": "some"}
    listed: set[Path] = set()
    for stage in stages.values():
        for output in [each for kind in ("outs", "metrics", "plots") for each in stage.get(kind, [])]:
            path = next(iter(output)) if isinstance(output, dict) else output
            for key, value in names.items():
                path = path.replace(f"${{{key}}}", value)
            listed.add(Path(path))
    assert set(outputs(PARAMS)) == listed


def test_folders_that_are_not_there_or_ordinary_are_fine(repository: Path) -> None:
    check_machine(PARAMS, repository)
    for folder in ("runs/digits", "results", "data"):
        (repository / folder).mkdir(parents=True)
    check_machine(PARAMS, repository)


@pytest.mark.parametrize("folder", ["data", "runs", "results", "reports", "runs/digits", "reports/some"])
def test_a_link_out_of_the_repository_is_refused(folder: str, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (repository / folder).parent.mkdir(exist_ok=True)
    (repository / folder).symlink_to(tmp_path / "disk")
    with pytest.raises(SettingsError, match=rf"^{folder} is a link to .*disk, .* cache.dir FOLDER`$"):
        check_machine(PARAMS, repository)
    # Without Git, DVC writes no .gitignore beside the outputs, and nothing is amiss.
    (repository / ".git").rmdir()
    check_machine(PARAMS, repository)


def test_links_within_the_repository_and_of_the_repository_are_fine(repository: Path, tmp_path: Path) -> None:
    (repository / "large").mkdir()
    (repository / "runs").symlink_to("large")
    check_machine(PARAMS, repository)
    (tmp_path / "linked").symlink_to(repository)
    check_machine(PARAMS, tmp_path / "linked")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.symlink_to("gone"), "runs is a link to .*gone, which is not there"),
        (lambda path: path.write_text(""), "runs is a file"),
        (lambda path: path.symlink_to("runs"), "runs is a link to .*runs, which is not there"),
    ],
)
def test_what_is_no_folder_is_refused(make: Any, message: str, repository: Path) -> None:
    make(repository / "runs")
    with pytest.raises(SettingsError, match=message):
        check_machine(PARAMS, repository)


FOLDERS = ["provenance", "data/digits", "runs/digits/vae", "results/digits/vae", "reports/some/tables"]
OTHERS = ["checkpoints", "store", "mlartifacts", "downloads"]
FILES = ["mlflow.db", "reports/some/index.html"]


def linked(output: str, repository: Path, target: Path) -> None:
    (repository / output).parent.mkdir(parents=True, exist_ok=True)
    (repository / output).symlink_to(target)


@pytest.mark.parametrize("output", FOLDERS + OTHERS)
def test_a_file_in_the_place_of_a_folder_is_refused(output: str, repository: Path) -> None:
    (repository / output).parent.mkdir(parents=True, exist_ok=True)
    (repository / output).write_text("")
    with pytest.raises(SettingsError, match=rf"^{output} is a file; stages write a folder .*: move it away$"):
        check_machine(PARAMS, repository)


@pytest.mark.parametrize("output", FILES)
def test_a_folder_in_the_place_of_a_file_is_refused(output: str, repository: Path) -> None:
    (repository / output).mkdir(parents=True)
    with pytest.raises(SettingsError, match=rf"^{output} is a folder; stages write a file .*: move it away$"):
        check_machine(PARAMS, repository)


@pytest.mark.parametrize("output", FOLDERS + OTHERS + FILES)
def test_a_link_to_nothing_is_refused(output: str, repository: Path, tmp_path: Path) -> None:
    linked(output, repository, tmp_path / "gone")
    with pytest.raises(SettingsError, match=rf"^{output} is a link to .*gone, which is not there: remove"):
        check_machine(PARAMS, repository)


@pytest.mark.parametrize("output", FOLDERS)
def test_an_output_that_is_a_link_out_of_the_repository_is_refused(
    output: str, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    linked(output, repository, tmp_path / "disk")
    with pytest.raises(SettingsError, match=rf"^{output} is a link to .*disk, .* cache.dir FOLDER`$"):
        check_machine(PARAMS, repository)


@pytest.mark.parametrize("output", OTHERS + FILES)
def test_what_dvc_does_not_keep_or_links_itself_may_be_a_link(
    output: str, repository: Path, tmp_path: Path
) -> None:
    target = tmp_path / "disk"
    target.touch() if output in FILES else target.mkdir()
    linked(output, repository, target)
    check_machine(PARAMS, repository)


@pytest.mark.parametrize("cache", ["file", "file/below", "{root}/file", "{root}/file/below"])
def test_a_cache_that_is_a_file_or_below_one_is_refused(cache: str, repository: Path) -> None:
    (repository / "file").touch()
    evaluation = PARAMS.evaluation.model_copy(update={"store": cache.format(root=repository)})
    with pytest.raises(SettingsError, match=r"file is a file; stages write a folder of that name"):
        check_machine(PARAMS.model_copy(update={"evaluation": evaluation}), repository)


@pytest.mark.parametrize(
    "cache", [None, "new", "new/below", "{root}/new", pytest.param("n" * 300, id="long")]
)
def test_a_cache_need_not_be_there_but_needs_a_possible_name(cache: str | None, repository: Path) -> None:
    named = cache and cache.format(root=repository)
    params = PARAMS.model_copy(update={"evaluation": PARAMS.evaluation.model_copy(update={"store": named})})
    if named and len(Path(named).name) > 255:
        with pytest.raises(SettingsError, match="cannot be written: File name too long"):
            check_machine(params, repository)
    else:
        check_machine(params, repository)


def test_every_fault_has_its_line(repository: Path, tmp_path: Path) -> None:
    for name in ("checkpoints", "provenance"):
        (repository / name).touch()
    linked("mlflow.db", repository, tmp_path / "gone")
    with pytest.raises(SettingsError) as caught:
        check_machine(PARAMS, repository)
    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines] == ["provenance", "mlflow.db", "checkpoints"]


@pytest.mark.parametrize("output", ["results/digits/vae", "provenance"])
def test_a_mount_point_is_refused(output: str, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == repository / output)
    with pytest.raises(SettingsError, match=f"{output} is a mount point"):
        check_machine(PARAMS, repository)


@pytest.mark.parametrize("mounted", ["results", "runs/digits"])
def test_a_mount_above_the_outputs_is_fine(
    mounted: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == repository / mounted)
    check_machine(PARAMS, repository)


def test_a_folder_without_permission_is_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "runs").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SettingsError, match="runs cannot be written by this user"):
        check_machine(PARAMS, repository)
