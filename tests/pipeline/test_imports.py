"""What stages import before they work: most of a stage's fixed cost is imports of others' packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from dgmbench.dependencies import write_dependencies
from dgmbench.provenance import closure
from dgmbench.settings import PARAMS, read_params, render_params, validate

HEAVY = {"torch", "torchvision", "sklearn", "scipy", "pandas", "matplotlib", "seaborn", "mlflow", "optuna"}
SETTINGS = {
    "pipeline": "small",
    "datasets": ["digits"],
    "seeds": [0],
    "data": {},
    "sampling": {},
    "evaluation": {},
    "classifier": {},
    "models": {
        "vae": {"family": "vae", "view": "binary"},
        # Its family is not imported by the stages of another.
        "mixture": {"family": "gaussian_mixture", "view": "gray", "components": [2]},
    },
    "controls": {"pixel_shift": {}},
    "orders": [],
}
ENTRY = ["--dataset", "digits", "--model", "vae"]
CONTROL = ["--dataset", "digits", "--control", "pixel_shift"]
IDLE = """
import stages.{stage} as stage
stage.{work} = lambda *arguments, **named: ""
sys.argv[1:] = {options!r}
stage.main()
"""


def loaded(program: str, folder: Path) -> set[str]:
    """The modules that a program has loaded at its end, in a process of its own."""
    program = f"import importlib, json, sys\n{program}\nprint(json.dumps(sorted(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings and what the check stage wrote of them."""
    folder = tmp_path_factory.mktemp("project")
    (folder / PARAMS).write_text(render_params(SETTINGS, "small"), encoding="utf-8")
    validate(SETTINGS, "small")
    write_dependencies(read_params(folder / PARAMS), folder / "provenance")
    return folder


# Stages that need the same are run in one process, one after the other.
WORKING = [
    ("train", "train_entry", ENTRY),
    ("evaluate", "evaluate_entry", ENTRY),
    ("classifier", "train_classifiers", ENTRY[:2]),
    ("control", "run_control", CONTROL),
]


@pytest.mark.parametrize(
    ("stages", "needed"),
    [
        (WORKING, {"torch"}),
        ([("prepare", "prepare", ENTRY[:2])], set()),
        ([("report", "write_report", [])], {"pandas"}),
    ],
)
def test_a_stage_imports_what_it_needs(
    project: Path, stages: list[tuple[str, str, list[str]]], needed: set[str]
) -> None:
    programs = [IDLE.format(stage=stage, work=work, options=options) for stage, work, options in stages]
    found = loaded("".join(programs), project)
    assert found & HEAVY <= needed
    assert "dgmbench.models.baselines.gaussian_mixture" not in found


def test_nothing_behind_the_report_imports_torch(project: Path) -> None:
    """Not even when it works: every file that it depends on is imported."""
    names = [path.relative_to(ROOT) for path in closure("stages.report") if path.suffix == ".py"]
    modules = [".".join(name.with_suffix("").parts).removesuffix(".__init__") for name in names]
    assert "torch" not in loaded(f"for name in {modules!r}: importlib.import_module(name)", project)
