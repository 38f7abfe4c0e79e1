"""A finished seed is not trained again, its files come back to the byte, and a damaged one is trained."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dgmbench import provenance
from dgmbench.accept import accept_runs
from dgmbench.data.prepare import prepare
from dgmbench.errors import SettingsError
from dgmbench.files import read_json
from dgmbench.models.baselines.ppca import PPCA
from dgmbench.settings import Params, validate
from dgmbench.store import Store
from dgmbench.training import entry, runs
from dgmbench.training.finished import keep_all_runs
from dgmbench.training.replay import first_difference

FOLDER = Path("runs/digits/ppca")


@dataclass
class Trainings:
    """Trains an entry of a pipeline in the current folder and lists the seeds that were trained."""

    trained: list[int] = field(default_factory=list)

    def params(self, *seeds: int, **changes: Any) -> Params:
        raw = {
            "pipeline": "tiny",
            "datasets": ["digits"],
            "seeds": list(seeds),
            "data": {"limit": 100},
            "training": {"device": "cpu", "threads": 1},
            "sampling": {"n": 20},
            "models": {
                "ppca": {"family": "ppca", "view": "gray", "latent_dims": [2, 3]},
                "vae": {
                    "family": "vae", "view": "binary", "latent_dim": 2, "hidden": [4],
                    "training": {"epochs": 1},
                },
            },
        }  # fmt: skip
        return validate(raw | changes, "tiny.yaml")

    def train(self, *seeds: int, model: str = "ppca", **changes: Any) -> list[int]:
        """The seeds that were trained for it."""
        self.trained.clear()
        entry.train_entry(self.params(*seeds, **changes), "digits", model)
        return list(self.trained)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "digits"
    prepare("digits", folder, seed=0, mirror=None, limit=100)
    return folder


@pytest.fixture
def trainings(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(data, tmp_path / "data" / "digits")
    made, original = Trainings(), entry.run_seed

    def counted(job: Any, examples: Any, seed: int, folder: Path) -> None:
        made.trained.append(seed)
        original(job, examples, seed, folder)

    monkeypatch.setattr(entry, "run_seed", counted)
    return made


def contents() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in FOLDER.iterdir()}


def test_a_further_seed_is_trained_alone_even_if_dvc_empties_the_folder(
    trainings: Trainings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trainings.train(0, 1) == [0, 1]
    before = contents()
    shutil.rmtree(FOLDER)
    capsys.readouterr()
    assert trainings.train(0, 1, 2) == [2]
    assert "digits ppca: trained before, and kept: seeds 0, 1" in capsys.readouterr().err
    assert {name: content for name, content in contents().items() if name in before} == before
    assert set(contents()) - set(before) == {
        "run-2.json", "history-2.csv", "weights-2.pt", "samples-2.npy",
    }  # fmt: skip


def test_a_seed_that_is_no_longer_asked_for_goes_and_comes_back(trainings: Trainings) -> None:
    trainings.train(0, 1)
    assert trainings.train(1) == [] and "run-0.json" not in contents()
    assert trainings.train(0, 1) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"sampling": {"n": 21}},
        {"data": {"limit": 100, "seed": 1}},
        {"models": {"ppca": {"family": "ppca", "view": "gray", "latent_dims": [2, 4]}}},
        {"training": {"device": "cpu", "threads": 1, "precision": "bfloat16"}},
    ],
)
def test_other_settings_train_again(trainings: Trainings, changes: dict[str, Any]) -> None:
    trainings.train(0)
    assert trainings.train(0, **changes) == [0]
    assert trainings.train(0) == []


def test_another_library_trains_again(trainings: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    trainings.train(0)
    monkeypatch.setattr(provenance, "version", lambda name: "9.9")
    assert trainings.train(0) == [0]


def test_without_a_store_every_seed_is_trained(trainings: Trainings) -> None:
    nothing = {"evaluation": {"store": None}}
    trainings.train(0, **nothing)
    assert trainings.train(0, **nothing) == [0]


def test_a_damaged_entry_is_reported_and_trained(
    trainings: Trainings, capsys: pytest.CaptureFixture[str]
) -> None:
    trainings.train(0)
    shutil.rmtree(FOLDER)
    next(Path("store").rglob("weights-0.pt")).write_bytes(b"damaged")
    assert trainings.train(0) == [0] and "it is computed again" in capsys.readouterr().err
    assert trainings.train(0) == []


def test_damaged_weights_are_not_remembered(trainings: Trainings, capsys: pytest.CaptureFixture[str]) -> None:
    trainings.train(0)
    shutil.rmtree("store")
    (FOLDER / "weights-0.pt").write_bytes(b"damaged")
    assert trainings.train(0) == [0] and "is not what run-0.json says" in capsys.readouterr().err


def test_runs_of_a_checkout_are_remembered_before_they_are_emptied(trainings: Trainings) -> None:
    """As after `dvc pull` into a fresh clone, whose store is empty: the check stage does this."""
    trainings.train(0, 1)
    shutil.rmtree("store")
    keep_all_runs(trainings.params(0, 1, 2), Path("runs"))
    shutil.rmtree(FOLDER)
    assert trainings.train(0, 1, 2) == [2]


def other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "training_code", lambda family: {"edited": family})


@pytest.mark.parametrize("model", ["ppca", "vae"])
def test_a_run_of_other_code_with_an_equal_replay_is_taken_over(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    trainings.train(0, 1, model=model)
    before = read_json(Path("runs/digits") / model / "run-0.json")
    other_code(monkeypatch)
    params = trainings.params(0, 1, 2)
    dry = [verdict.state for verdict in accept_runs(params, [model], dry=True)]
    found = [verdict.state for verdict in accept_runs(params, [model])]
    assert found == dry == ["accepted", "accepted", "to train"]
    assert [verdict.state for verdict in accept_runs(params, [model])] == ["current", "current", "to train"]
    assert trainings.train(0, 1, 2, model=model) == [2]
    after = read_json(Path("runs/digits") / model / "run-0.json")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"fingerprint", "code_sha256", "accepted"}
    assert after["accepted"][0]["from_code_sha256"] == before["code_sha256"]


def test_a_run_of_code_that_gives_other_numbers_is_refused_with_the_first_difference(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings.train(0)
    other_code(monkeypatch)
    original = PPCA.sample
    monkeypatch.setattr(PPCA, "sample", lambda self, n, generator: original(self, n, generator).flip(0))
    (verdict,) = accept_runs(trainings.params(0), ["ppca"])
    assert verdict.state == "refused"
    assert str(verdict).startswith("digits ppca seed 0: refused: scores, samples: recorded ")
    assert trainings.train(0) == [0]


def test_other_settings_are_not_taken_over(trainings: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    trainings.train(0)
    other_code(monkeypatch)
    (verdict,) = accept_runs(trainings.params(0, sampling={"n": 21}), ["ppca"])
    assert verdict.state == "to train" and "changed" in verdict.reason
    monkeypatch.setattr(provenance, "version", lambda name: "9.9")
    (verdict,) = accept_runs(trainings.params(0), ["ppca"])
    assert verdict.state == "to train"


def test_taking_over_needs_a_store(trainings: Trainings) -> None:
    with pytest.raises(SettingsError, match=r"'evaluation.store' is null"):
        list(accept_runs(trainings.params(0, evaluation={"store": None})))
    assert Store(None).folder is None


def test_the_first_difference_is_named_by_its_place() -> None:
    recorded = {"losses": {"a": "1.0", "b": "2.0"}, "scores": {"x": "1" * 64}}
    assert first_difference(recorded, recorded) is None
    found = {"losses": {"a": "1.0", "b": "2.5"}, "scores": {"x": "2" * 64}}
    assert first_difference(recorded, found) == "losses, b: recorded 2.0, now 2.5"
    assert first_difference({"a": {}}, {"a": {"b": "1"}}) == "a, b: recorded nothing, now 1"


@pytest.mark.parametrize("content", [None, b"", b"x"])
def test_a_run_whose_samples_are_lost_is_trained_again(trainings: Trainings, content: bytes | None) -> None:
    """And neither remembered without them nor accepted."""
    trainings.train(0)
    whole = contents()
    shutil.rmtree("store")
    samples = FOLDER / "samples-0.npy"
    samples.unlink()
    if content is not None:
        samples.write_bytes(content)
    (verdict,) = accept_runs(trainings.params(0), ["ppca"])
    assert verdict.state == "to train" and str(samples) in verdict.reason
    assert trainings.train(0) == [0]
    assert contents()["samples-0.npy"] == whole["samples-0.npy"]
