"""The suite: what one metric cannot do is reported, and the others still run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dgmbench.data.schema import image_schema
from dgmbench.data.views import view_of
from dgmbench.errors import CheckpointError
from dgmbench.evaluation import suite
from dgmbench.evaluation.left_out import LeftOut
from dgmbench.evaluation.measure import Measure, measure
from dgmbench.evaluation.subject import Subject
from dgmbench.reporting.records import load_left_out
from dgmbench.results import Record, read_records
from dgmbench.settings import EvaluationSettings, InceptionSettings, TrainingSettings

VIEW = view_of("gray", image_schema((1, 8, 8), 17))
NONE = EvaluationSettings(store=None)


@measure(samples=True)
def fine(subject: Subject, folder: Path) -> Iterator[Record]:
    yield subject.record("recall", 1.0, n=2, unit="1", kind="exact")


@measure(samples=True)
def half(subject: Subject, folder: Path) -> Iterator[Record]:
    yield subject.record("precision", 1.0, n=2, unit="1", kind="exact")
    raise ValueError("images hold NaN or infinite values")


@measure()
def refused(subject: Subject, folder: Path) -> Iterator[Record]:
    raise CheckpointError("the classifier is damaged")
    yield


class Sampler:
    """Draws, in three ways."""

    view, ways, way = VIEW, ("own", "one", "two"), "own"

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return torch.zeros(n, 1, 8, 8)

    def sample_by(self, way: str, n: int, generator: torch.Generator) -> torch.Tensor:
        return self.sample(n, generator)


def subject_of(monkeypatch: pytest.MonkeyPatch, model: Any, measures: list[Measure]) -> Any:
    """A finished run, as the suite opens it; returns the settings of its evaluation."""
    info = {"dataset": "d", "view": "gray", "model": "m", "seed": 3, "status": "completed", "n_samples": 2,
            "weights_sha256": "0", "settings": {"family": "vae"}, "sampling": {}, "schema": {}}  # fmt: skip
    run = SimpleNamespace(info=info, model=model, folder=Path("runs"), is_first=True)
    data = SimpleNamespace(schema=image_schema((1, 8, 8), 17), sha256="0", classes=None)
    monkeypatch.setattr(suite, "run_info", lambda *_: info)
    monkeypatch.setattr(suite, "open_run", lambda *_, **__: run)
    monkeypatch.setattr(suite, "load_dataset", lambda *_: data)
    monkeypatch.setattr(suite, "all_measures", lambda: measures)
    return SimpleNamespace(evaluation=NONE, data=SimpleNamespace(seed=0))


def test_a_measure_that_fails_is_told_and_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OneWay:
        view, sample = VIEW, Sampler.sample

    params = subject_of(monkeypatch, OneWay(), [half, refused, fine])
    found = suite.evaluate_seed(params, "d", "m", 3, tmp_path, torch.device("cpu"))
    assert [record.metric for record in found.records] == ["precision", "recall"]
    assert found.left_out == [
        LeftOut("m", 3, "half", "images hold NaN or infinite values"),
        LeftOut("m", 3, "refused", "the classifier is damaged"),
    ]


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_is_left_out_is_told_once_an_entry_after_everything_else(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def evaluated(params: Any, dataset: str, model: str, seed: int, *others: Any) -> suite.Evaluated:
        print(f"progress of seed {seed}", file=sys.stderr)
        same = [LeftOut(name, seed, "probes", "too few labels") for name in ("m", "m/way")]
        return suite.Evaluated([], [*same, LeftOut("m", seed, "annealed", f"a reason of seed {seed}")])

    monkeypatch.setattr(suite, "evaluate_seed", evaluated)
    training = TrainingSettings(device="cpu", processes=at_once, threads=1)
    evaluation = EvaluationSettings(inception=InceptionSettings(use=True, weights="none.pth"))
    params: Any = SimpleNamespace(
        models={"m": {"family": "vae"}},
        training=training,
        evaluation=evaluation,
        data=SimpleNamespace(mirror=None),
        seeds=[3, 4],
    )
    suite.evaluate_entry(params, "d", "m")
    lines = capfd.readouterr().err.splitlines()
    assert sum("progress" in line for line in lines[:2]) == 2
    assert "evaluate d: probes left out for m (seeds 3, 4), m/way (seeds 3, 4): too few labels" in lines[2:]
    for seed in (3, 4):
        assert f"evaluate d: annealed left out for m (seed {seed}): a reason of seed {seed}" in lines[2:]
    assert sum("there is no file" in line for line in lines[2:]) == 1


def test_a_measure_that_fails_in_one_way_of_sampling_costs_neither_others_nor_other_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = subject_of(monkeypatch, Sampler(), [half, refused, fine])
    found = suite.evaluate_seed(params, "d", "m", 3, tmp_path, torch.device("cpu"))
    assert [(r.model, r.metric) for r in found.records] == [
        (f"m{way}", metric) for way in ("", "/one", "/two") for metric in ("precision", "recall")
    ]
    assert [(each.model, each.metric) for each in found.left_out] == [
        ("m", "half"), ("m", "refused"), ("m/one", "half"), ("m/two", "half")
    ]  # fmt: skip


def test_a_diverged_run_has_one_row_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = {"dataset": "d", "view": "gray", "model": "m", "seed": 3, "status": "diverged"}
    monkeypatch.setattr(suite, "run_info", lambda *_: info)
    params: Any = SimpleNamespace()
    (record,) = suite.evaluate_seed(params, "d", "m", 3, tmp_path, torch.device("cpu")).records
    assert (record.metric, record.value) == ("diverged", 1.0)


def test_inception_weights_that_cannot_be_had_are_kept_for_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every seed, by an evaluation that goes on without them."""
    monkeypatch.chdir(tmp_path)
    info = {"dataset": "d", "view": "gray", "model": "m", "seed": 3, "status": "diverged"}
    monkeypatch.setattr(suite, "run_info", lambda *names: info | {"seed": names[-1]})
    wanted = InceptionSettings(use=True, weights="none.pth")
    params: Any = SimpleNamespace(
        models={"m": {"family": "vae"}},
        training=TrainingSettings(device="cpu", processes=1),
        evaluation=EvaluationSettings(inception=wanted),
        data=SimpleNamespace(mirror=None),
        seeds=[3, 4],
    )
    folder = suite.evaluate_entry(params, "d", "m")
    assert list(read_records(folder / "results.csv")["metric"]) == ["diverged"] * 2
    told = load_left_out(folder.parents[1], ["d"], ["m"])
    assert [(each["dataset"], each["seed"], each["metric"]) for each in told] == [
        ("d", 3, "Inception features"), ("d", 4, "Inception features")
    ]  # fmt: skip
    assert "there is no file" in told[0]["reason"]
