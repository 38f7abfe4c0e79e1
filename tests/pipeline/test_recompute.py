"""What an edit runs again: the source is edited in a copy, and the stages are compared that DVC would run.

DVC runs a stage if its file in provenance/ changes. A measure is run again if its part of a key changes.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from dgmbench import provenance
from dgmbench.dependencies import dependencies, recorded_settings, write_dependencies
from dgmbench.evaluation.registry import MEASURES
from dgmbench.provenance import Sources
from dgmbench.settings import Params, compose, validate

SETTINGS = {
    "pipeline": "small",
    "datasets": ["digits"],
    "seeds": [0],
    "models": {
        "vae": {"family": "vae", "view": "binary"},
        "ppca": {"family": "ppca", "view": "gray", "latent_dims": [2]},
    },
    "controls": {"pixel_shift": {}},
}


def settings(**changes: Any) -> Params:
    return validate(SETTINGS | changes, "small.yaml")


class Copy:
    """A copy of the sources, and what its stages depended on when it was made."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for package in provenance.PACKAGES:
            shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
        self.before = self.stages(settings())
        self.measures = self.keys()

    def stages(self, params: Params) -> dict[str, Any]:
        return dependencies(params, self.root)

    def keys(self) -> dict[str, Any]:
        """By measure, the code that its answer follows from."""
        sources = Sources(self.root)
        return {name: sources.hashes(module) for name, module in MEASURES.items()}

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} does not hold {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def runs(self, params: Params | None = None) -> set[str]:
        """The stages that DVC would run: check apart, whose files these are."""
        after = self.stages(params or settings())
        return {name for name in after if after[name] != self.before.get(name)}

    def asked(self) -> set[str]:
        """The measures that would be asked again."""
        return {name for name, key in self.keys().items() if key != self.measures[name]}


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_nothing_runs_again_by_itself(copy: Copy) -> None:
    assert set(copy.before) == {
        "prepare-digits", "classifier", "train-vae", "train-ppca", "evaluate-vae", "evaluate-ppca",
        "control-pixel_shift", "report", "track",
    }  # fmt: skip
    assert copy.runs() == set() and copy.asked() == set()


def test_a_docstring_a_comment_and_a_description_run_nothing(copy: Copy) -> None:
    base = "dgmbench/models/base.py"
    copy.edit(base, '"""Free parameters of the model."""', '"""How many numbers training chooses."""')
    copy.edit(base, "# What a model sees of labels", "# Remark. What a model sees of labels")
    copy.edit(base, 'description="key of dgmbench', 'description="a key of dgmbench')
    assert copy.runs() == set() and copy.asked() == set()


def test_a_caption_runs_the_report(copy: Copy) -> None:
    files = sorted((copy.root / "dgmbench/reporting/figures").glob("*.py"))
    edited = next(path for path in files if "set_xlabel(" in path.read_text(encoding="utf-8"))
    copy.edit(edited.relative_to(copy.root).as_posix(), "set_xlabel(", "set_xlabel('' + ")
    assert {"report"} <= copy.runs() <= {"report", "track"} and copy.asked() == set()


def test_one_measure_is_evaluated_alone(copy: Copy) -> None:
    name, module = "sharpness", MEASURES["sharpness"].replace(".", "/") + ".py"
    with open(copy.root / module, "a", encoding="utf-8") as handle:
        handle.write("\nANOTHER_LINE = 1\n")
    assert name in copy.asked() and len(copy.asked()) <= 2
    ran = copy.runs()
    assert {"evaluate-vae", "evaluate-ppca"} <= ran
    assert not [stage for stage in ran if stage.startswith(("train", "prepare", "classifier"))]


def test_a_family_runs_its_own_entries(copy: Copy) -> None:
    copy.edit("dgmbench/models/latent/vae.py", "\nclass ", "\nANOTHER_LINE = 1\n\n\nclass ")
    assert copy.runs() == {"train-vae", "evaluate-vae"}


def test_a_further_seed_runs_training_and_what_follows(copy: Copy) -> None:
    """Of the seeds only the new one is trained: see tests/training/test_finished.py."""
    ran = copy.runs(settings(seeds=[0, 1]))
    assert ran == {"train-vae", "train-ppca", "evaluate-vae", "evaluate-ppca", "report", "track"}


@pytest.mark.parametrize("library", provenance.LIBRARIES)
def test_another_version_of_a_library_runs_everything(
    copy: Copy, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    known = provenance.version
    monkeypatch.setattr(provenance, "version", lambda name: "9.9" if name == library else known(name))
    assert copy.runs() == set(copy.before)


def test_the_build_of_a_library_runs_nothing(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    known = provenance.version
    monkeypatch.setattr(provenance, "version", lambda name: f"{known(name).partition('+')[0]}+cu999")
    assert copy.runs() == set()


def test_where_results_are_remembered_runs_nothing_but_the_report(copy: Copy) -> None:
    assert copy.runs(settings(evaluation={"store": "elsewhere"})) <= {"report", "track"}


def test_every_measure_s_code_is_behind_the_stage_that_asks_it(copy: Copy) -> None:
    """Measures are loaded by name, which no import shows."""
    code = copy.before["evaluate-vae"]["code"]
    assert {module.replace(".", "/") + ".py" for module in MEASURES.values()} <= set(code)


def test_settings_in_force_are_read_from_the_check_stage_if_they_are_today_s(tmp_path: Path) -> None:
    write_dependencies(settings(), tmp_path)
    assert recorded_settings(settings(), tmp_path) == recorded_settings(settings(), tmp_path / "none")
    assert list(recorded_settings(settings(), tmp_path)["models"]) == list(settings().models)
    changed = recorded_settings(settings(seeds=[7]), tmp_path)
    assert changed["seeds"] == [7]


def test_hashing_all_that_a_pipeline_depends_on_is_quick() -> None:
    """The check stage pays for it at every `dvc repro`; some 0.6 s of processor time here."""
    import time

    params = validate(compose("digits"), "digits")
    dependencies(params)  # what is imported once is no part of it
    provenance.read_source.cache_clear()
    started = time.process_time()
    dependencies(params)
    assert time.process_time() - started < 5
