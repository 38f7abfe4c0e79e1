"""Entries that the data have not the labels for are described and left out; nothing else stops."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dgmbench.data.prepare import prepare
from dgmbench.evaluation.suite import evaluate_entry
from dgmbench.files import read_json
from dgmbench.reporting.page.warnings import warnings
from dgmbench.reporting.records import FAILURES, merge_results
from dgmbench.reporting.run_files import first_finished, load_manifests, load_runs
from dgmbench.settings import Params
from dgmbench.training import runs
from dgmbench.training.entry import train_entry
from dgmbench.training.loading import RUNS
from dgmbench.training.outcome import UNAVAILABLE

REASON = "15 labels cannot be had: 10 classes cannot share them equally. Nearest: 10 or 20"


def params() -> Params:
    raw = {
        "pipeline": "tiny",
        "datasets": ["digits"],
        "seeds": [0, 1],
        "models": {"net": {"family": "convnet", "view": "gray", "labels": 15}},
    }
    return Params.model_validate(raw)


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    prepare("digits", tmp_path / "data" / "digits", seed=0)
    return train_entry(params(), "digits", "net")


def test_every_seed_says_why(entry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(entry)
    shutil.rmtree("store")
    train_entry(params(), "digits", "net")
    said = capsys.readouterr().err
    for seed in (0, 1):
        info = read_json(entry / f"run-{seed}.json")
        assert (info["status"], info["reason"], info["n_samples"]) == (UNAVAILABLE, REASON, 0)
        assert f"train digits net seed {seed}: unavailable: {REASON}" in said
        assert not (entry / f"weights-{seed}.pt").exists()


def test_it_is_remembered_like_any_run(entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "leave_out", None)
    train_entry(params(), "digits", "net")
    assert read_json(entry / "run-1.json")["status"] == UNAVAILABLE


def test_evaluation_and_report_say_so(entry: Path) -> None:
    folder = evaluate_entry(params(), "digits", "net")
    frame = merge_results(folder.parents[1], ["digits"], ["net"], [0, 1])
    assert frame["metric"].tolist() == [UNAVAILABLE] * 2 and UNAVAILABLE in FAILURES
    found = load_runs(RUNS, ["digits"], ["net"], [0, 1])
    assert first_finished(found) == []
    said = warnings(params().model_dump(), found, load_manifests(Path("data"), ["digits"]))
    assert said[0] == f"net seed 0 on digits unavailable: {REASON}."
