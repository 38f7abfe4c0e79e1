"""`make check-metrics` and `make baseline`: what is no comparison is exit code 2, never a regression's 1."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from places import ROOT

from dgmbench.commands import guarded
from dgmbench.files import write_json
from dgmbench.reporting.baseline.regression import make_baseline
from dgmbench.results import COLUMNS, read_records
from dgmbench.settings import PARAMS, compose, render_params, select
from stages import regression

CONFLICT = "<<<<<<< HEAD\n{0}=======\n{0}>>>>>>> other\n"


def cut(path: Path, share: float) -> None:
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])


def conflict(path: Path) -> None:
    path.write_text(CONFLICT.format(path.read_text()))


def replaced(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


FAULTS: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "conflict": conflict,
    "half": lambda path: cut(path, 0.5),
    "all but its end": lambda path: cut(path, 0.99),
    "a line": lambda path: path.write_text(path.read_text().splitlines()[0] + "\n"),
    "Latin-1": lambda path: path.write_bytes(path.read_bytes() + "Fréchet".encode("latin-1")),
    "another file": lambda path: path.write_text("a,b\n1,2\n"),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}
RESULTS_FAULTS: dict[str, Callable[[Path], object]] = {
    "text in a value": lambda path: replaced(path, "7.5", "abc"),
    "every row twice": lambda path: path.write_text(path.read_text() + path.read_text().partition("\n")[2]),
}
BASELINE_FAULTS: dict[str, Callable[[Path], object]] = {
    "a list": lambda path: path.write_text("[1]\n"),
    "parts missing": lambda path: replaced(path, '"mean"', '"average"'),
    "no data set": lambda path: write_json(path, {"format": 2, "datasets": {}}),
    "no model": lambda path: write_json(path, {"format": 2, "datasets": {"digits": {}}}),
    "NaN": lambda path: replaced(path, "7.5", "NaN"),
}


def record(metric: str, seed: int, value: float) -> dict[str, object]:
    values = ["digits", "binary", "ppca", seed, metric, value, 0.1, 9, "1", "exact", "test", 1.0, "cpu"]
    return dict(zip(COLUMNS, values, strict=True))


def records(value: float) -> pd.DataFrame:
    return pd.DataFrame([record("fid_domain", seed, value) for seed in (0, 1)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A report with a baseline that it agrees with."""
    monkeypatch.chdir(tmp_path)
    settings = select(compose("smoke", ROOT / "pipelines"), ["ppca"], None, "smoke")
    (tmp_path / PARAMS).write_text(render_params(settings, "smoke"), encoding="utf-8")
    folder = tmp_path / "reports" / settings["pipeline"]
    folder.mkdir(parents=True)
    records(7.5).to_csv(folder / "results.csv", index=False)
    write_json(folder / "baseline.json", make_baseline(records(7.5)))
    return folder


def ended(monkeypatch: pytest.MonkeyPatch, action: str) -> object:
    monkeypatch.setattr(sys, "argv", ["regression", action])
    try:
        guarded(regression.main)
    except SystemExit as stopped:
        return stopped.code
    return 0


def test_what_agrees_passes_and_what_is_worse_is_exit_code_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ended(monkeypatch, "check") == 0
    records(75.0).to_csv(folder / "results.csv", index=False)
    assert ended(monkeypatch, "check") == 1


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *(("results.csv", fault) for fault in [*FAULTS, *RESULTS_FAULTS]),
        *(("baseline.json", fault) for fault in [*FAULTS, *BASELINE_FAULTS]),
    ],
)
def test_a_file_that_is_missing_or_damaged_is_a_sentence_and_exit_code_2(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    fault: str,
) -> None:
    (FAULTS | RESULTS_FAULTS | BASELINE_FAULTS)[fault](folder / name)
    assert ended(monkeypatch, "check") == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1
    assert name in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_baseline_of_what_is_not_finite_is_refused_and_the_old_one_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    before = (folder / "baseline.json").read_text()
    records(value).to_csv(folder / "results.csv", index=False)
    assert ended(monkeypatch, "make") == 2
    message = capsys.readouterr().err
    assert "digits" in message and "ppca" in message and "fid_domain" in message
    assert (folder / "baseline.json").read_text() == before


def test_a_baseline_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "baseline.json").unlink()
    assert ended(monkeypatch, "make") == 0
    models = json.loads((folder / "baseline.json").read_text())["datasets"]["digits"]
    assert models["ppca"]["metrics"]["fid_domain"]["mean"] == 7.5


@pytest.mark.parametrize("name", ["nan", "null", "na", "none", "true", "inf"])
def test_a_model_may_be_called_like_a_missing_value(name: str, tmp_path: Path) -> None:
    records(7.5).assign(model=name).to_csv(tmp_path / "results.csv", index=False)
    assert set(read_records(tmp_path / "results.csv")["model"]) == {name}
