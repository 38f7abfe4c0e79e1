"""The workflow that comments on pull requests: its shell steps, with a stand-in for `gh`."""

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
WORKFLOWS = ROOT / ".github" / "workflows"


def steps() -> dict[str, Any]:
    text = (WORKFLOWS / "ci.yml").read_text(encoding="utf-8")
    (job,) = yaml.safe_load(text)["jobs"].values()
    return {step.get("name", step.get("uses")): step for step in job["steps"]}


@pytest.fixture
def stand_ins(tmp_path: Path) -> dict[str, str]:
    """An environment in which `gh` is a stand-in, and notes and the summary go to files."""
    program = tmp_path / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(GH)
    program.chmod(0o755)
    given = {name: str(tmp_path / name) for name in ("NOTES", "GITHUB_STEP_SUMMARY")}
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return os.environ | given | {"PATH": path, "GITHUB_REPOSITORY": "o/r", "FOUND": ""}


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


def test_one_job_of_one_workflow_runs_the_benchmark() -> None:
    running = [
        (path.name, step["run"])
        for path in sorted(WORKFLOWS.glob("*.yml"))
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
        for step in job["steps"]
        if ".ci/run" in step.get("run", "") or "make benchmark" in step.get("run", "")
    ]
    assert running == [("ci.yml", ".ci/run")]


def test_the_check_of_that_run_writes_the_comparison() -> None:
    """`make` takes the file's name from the environment that the step sets."""
    step = steps()["Tests, default benchmark, regression check"]
    assert step["env"] == {"MARKDOWN": "comparison.md"}
    assert "make check-metrics" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    done = subprocess.run(
        ["make", "--dry-run", "check-metrics"],
        cwd=ROOT, env=os.environ | step["env"], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "stages.regression check --markdown comparison.md" in done.stdout


@pytest.mark.parametrize("name", ["Show the comparison", "Post the comparison"])
def test_a_comparison_is_shown_even_where_a_metric_is_worse(name: str) -> None:
    condition = steps()[name]["if"]
    assert "!cancelled()" in condition and "hashFiles('comparison.md') != ''" in condition


def test_the_summary_has_the_comparison(tmp_path: Path, stand_ins: dict[str, str]) -> None:
    (tmp_path / "comparison.md").write_text("### digits\n")
    assert ran(steps()["Show the comparison"]["run"], tmp_path, stand_ins).returncode == 0
    assert Path(stand_ins["GITHUB_STEP_SUMMARY"]).read_text() == "### digits\n"
