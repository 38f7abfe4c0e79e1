"""The workflow that comments on pull requests: its shell steps, with stand-ins for `gh` and `make`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import ROOT

GH = """#!/bin/sh
echo "$@" >> "$NOTES"
case "$*" in
    *--paginate*) printf '%s' "$FOUND" ;;
    *body=@*) cat "${@#body=@}" >> "$NOTES" 2> /dev/null; exit 0 ;;
esac
"""
MAKE = """#!/bin/sh
case "$*" in *MARKDOWN=*) [ "$CODE" = 2 ] || echo "| table |" > "${2#MARKDOWN=}" ;; esac
exit "$CODE"
"""


def steps() -> dict[str, Any]:
    text = (ROOT / ".github" / "workflows" / "compare.yml").read_text(encoding="utf-8")
    (job,) = yaml.safe_load(text)["jobs"].values()
    return {step.get("name", step.get("uses")): step for step in job["steps"]}


@pytest.fixture
def stand_ins(tmp_path: Path) -> dict[str, str]:
    """An environment in which `gh` and `make` are stand-ins, and notes and outputs go to files."""
    for name, script in (("gh", GH), ("make", MAKE)):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)
    given = {name: str(tmp_path / name) for name in ("NOTES", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return os.environ | given | {"PATH": path, "GITHUB_REPOSITORY": "o/r", "FOUND": "", "CODE": "0"}


def ran(script: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("found", "call"), [
    ("", "api --method POST repos/o/r/issues/12/comments"),
    ("77", "api --method PATCH repos/o/r/issues/comments/77"),
    ("77\n78\n", "api --method PATCH repos/o/r/issues/comments/77"),
])  # fmt: skip
def test_there_is_one_comment_which_is_brought_up_to_date(
    tmp_path: Path, stand_ins: dict[str, str], found: str, call: str
) -> None:
    (tmp_path / "comparison.md").write_text("### digits\n")
    step = steps()["Post the comparison"]["run"].replace(".ci/", f"{ROOT}/.ci/")
    done = ran(step, tmp_path, stand_ins | {"NUMBER": "12", "FOUND": found})
    assert done.returncode == 0, done.stderr
    notes = Path(stand_ins["NOTES"]).read_text()
    assert f"{call} --field body=@" in notes


def test_the_comment_begins_with_the_mark_that_finds_it_again(
    tmp_path: Path, stand_ins: dict[str, str]
) -> None:
    (tmp_path / "gh-body").mkdir()
    script = '#!/bin/sh\nfor each; do case "$each" in body=@*) cp "${each#body=@}" "$NOTES" ;; esac; done\n'
    (tmp_path / "bin" / "gh").write_text(script)
    (tmp_path / "comparison.md").write_text("### digits\n")
    assert ran(f"{ROOT}/.ci/comment comparison.md 3", tmp_path, stand_ins).returncode == 0
    assert Path(stand_ins["NOTES"]).read_text() == "<!-- dgmbench comparison -->\n### digits\n"


def test_a_comment_that_cannot_be_posted_fails(tmp_path: Path, stand_ins: dict[str, str]) -> None:
    (tmp_path / "bin" / "gh").write_text("#!/bin/sh\nexit 4\n")
    (tmp_path / "comparison.md").write_text("### digits\n")
    assert ran(f"{ROOT}/.ci/comment comparison.md 3", tmp_path, stand_ins).returncode == 4


@pytest.mark.parametrize(("code", "written"), [("0", True), ("1", True), ("2", False)])
def test_the_comparison_is_kept_first_and_fails_the_job_last(
    tmp_path: Path, stand_ins: dict[str, str], code: str, written: bool
) -> None:
    check = steps()["Compare with the committed baseline"]["run"].replace("check-metrics ", "")
    check = check.replace("--silent ", "x ")
    assert ran(check, tmp_path, stand_ins | {"CODE": code}).returncode == 0
    assert Path(stand_ins["GITHUB_OUTPUT"]).read_text() == f"status={code}\n"
    assert (tmp_path / "comparison.md").exists() == written
    assert Path(stand_ins["GITHUB_STEP_SUMMARY"]).exists() == written
    last = list(steps().values())[-1]
    assert ran(last["run"], tmp_path, stand_ins | {"STATUS": code}).returncode == int(code)
