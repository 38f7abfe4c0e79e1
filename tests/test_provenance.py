from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dgmbench.dependencies import dependencies
from dgmbench.metrics.catalogue import modules
from dgmbench.models.registry import FAMILIES, family_module
from dgmbench.provenance import ROOT, closure, code_hash
from dgmbench.settings import load_params


def names(*modules: str) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in closure(*modules)}


@pytest.mark.parametrize("family", FAMILIES)
def test_training_depends_on_its_model_and_not_on_other_models_or_metrics(family: str) -> None:
    found = names("stages.train", family_module(family))
    own = family_module(family).replace(".", "/") + ".py"
    others = {family_module(other).replace(".", "/") + ".py" for other in FAMILIES} - {own}
    assert own in found
    assert {
        "stages/train.py",
        "dgmbench/training/trainer.py",
        "dgmbench/models/base.py",
        "dgmbench/data/views.py",
    } <= found
    assert not found & others
    assert "dgmbench/results.py" not in found
    assert not [name for name in found if name.startswith(("dgmbench/evaluation", "dgmbench/reporting"))]


def test_evaluation_depends_on_metrics_and_reports_on_templates() -> None:
    assert {"dgmbench/evaluation/suite.py", "dgmbench/evaluation/quality/frechet.py"} <= names(
        "stages.evaluate"
    )
    report = names("stages.report")
    parts = ("base.html.j2", "answer.html.j2", "page.css", "tables.js")
    assert {f"dgmbench/reporting/page/{part}" for part in parts} <= report
    assert not [
        name for name in report if name.startswith(("dgmbench/training", "dgmbench/evaluation/suite"))
    ]


def test_words_and_tables_of_a_metric_concern_the_report_alone() -> None:
    """Declarations are found by listing files, which no import shows."""
    declarations = {f"{module.replace('.', '/')}.py" for module in modules()}
    report = dependencies(load_params(ROOT / "params.yaml"))["report"]["code"]
    assert "dgmbench/metrics/likelihood.py" in declarations <= set(report)
    assert not declarations & names("stages.evaluate")


@pytest.mark.parametrize("stage", ["stages.train", "stages.evaluate", "stages.report"])
def test_the_text_of_the_schema_is_no_dependency(stage: str) -> None:
    """The values in force are; no file of the package, however it is imported."""
    assert not [
        name for name in names(stage, "dgmbench.settings.block") if name.startswith("dgmbench/settings")
    ]


def test_an_edit_changes_the_hash_of_what_imports_it_alone(tmp_path: Path) -> None:
    for package in ("dgmbench", "stages"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    modules = {
        "train": ("stages.train", "dgmbench.models.latent.vae"),
        "evaluate": ("stages.evaluate", "dgmbench.models.latent.vae"),
    }
    before = {stage: code_hash(*wanted, root=tmp_path) for stage, wanted in modules.items()}
    assert before["train"] == code_hash(*modules["train"])
    edited = tmp_path / "dgmbench/evaluation/quality/frechet.py"
    edited.write_text(edited.read_text() + "\nEDITED = 1\n")
    after = {stage: code_hash(*wanted, root=tmp_path) for stage, wanted in modules.items()}
    assert after["train"] == before["train"]
    assert after["evaluate"] != before["evaluate"]
