from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from processes import until

import dgmbench
from dgmbench.commands import guarded
from dgmbench.data.schema import image_schema
from dgmbench.errors import CheckpointError, SettingsError
from dgmbench.files import read_json, sha256_file, write_json, write_text
from dgmbench.models.latent.vae import VAE, VAESettings
from dgmbench.settings import Params, SamplingSettings, TrainingSettings
from dgmbench.training import entry
from dgmbench.training.alone import training_alone
from dgmbench.training.devices import choose_device, machine_name, set_up
from dgmbench.training.entry import train_entry
from dgmbench.training.loading import build, open_run
from dgmbench.training.runs import Job, write_weights

SCHEMA = image_schema((1, 2, 2), 17)
SETTINGS = VAESettings.model_validate({"family": "vae", "view": "binary", "hidden": [4]})


def test_models_of_a_seed_start_alike_whatever_was_drawn_before() -> None:
    one = build(SETTINGS, SCHEMA, seed=3)
    torch.rand(7)
    two, other = (
        build(SETTINGS, SCHEMA, seed=3),
        build(SETTINGS, SCHEMA, seed=4),
    )
    weights = [network.state_dict()["posterior_head.weight"] for network in (one, two, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    model = VAE(SETTINGS, SCHEMA)
    write_weights(tmp_path / "a.pt", model)
    write_weights(tmp_path / "a_longer_name.pt", model)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "a_longer_name.pt").read_bytes()


def test_a_missing_run_lists_those_there_are(tmp_path: Path) -> None:
    write_text(tmp_path / "digits" / "vae" / "run-2.json", "{}")
    with pytest.raises(CheckpointError, match=r"There are: vae seed 2; `dvc repro` trains them"):
        dgmbench.load_run("digits", "gan", 0, runs=tmp_path)


def test_a_second_training_of_an_entry_waits_and_says_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    order: list[str] = []

    def second() -> None:
        with training_alone("digits", "vae"):
            order.append("second")

    waiting = threading.Thread(target=second)
    with training_alone("digits", "vae"):
        with training_alone("digits", "gan"):
            pass
        assert capsys.readouterr().err == ""
        waiting.start()
        told: list[str] = []
        assert until(lambda: told.append(capsys.readouterr().err) or "waiting" in "".join(told))
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
    assert f"digits vae is being trained by process {os.getpid()} on " in "".join(told)
    assert "waiting until it ends" in "".join(told) and "`kill`" in "".join(told)


@dataclass
class Trainings:
    """Stands for data and model in `train_entry`: the seeds trained, and what happens before one."""

    trained: list[int]
    before: Callable[[int], object] = lambda seed: None
    fingerprint: str = "this code"
    store: str | None = "store"
    sampling: SamplingSettings = field(default_factory=SamplingSettings)

    def job(self, params: Params, dataset: str, model: str) -> SimpleNamespace:
        return SimpleNamespace(
            params=params, dataset=dataset, model=model, data=None, device=torch.device("cpu"),
            fingerprint=self.of, examples_by_set=lambda: lambda seed: None,
        )  # fmt: skip

    def of(self, seed: int) -> str:
        return f"{self.fingerprint}, seed {seed}"

    def run_seed(self, job: object, images: object, seed: int, folder: Path) -> None:
        self.before(seed)
        self.trained.append(seed)
        self.write(seed, folder)

    def write(self, seed: int, folder: Path = Path("runs/digits/vae"), **changes: object) -> None:
        info: dict[str, object] = {
            "fingerprint": self.of(seed),
            "sampling": self.sampling.model_dump(mode="json"),
        }
        write_json(folder / f"run-{seed}.json", info | changes)

    def train(self) -> Path:
        raw = {
            "pipeline": "tiny",
            "datasets": ["digits"],
            "seeds": [0, 1],
            "models": {"vae": {"family": "vae"}},
            "evaluation": {"store": self.store},
        }
        return train_entry(Params.model_validate(raw), "digits", "vae")


@pytest.fixture
def trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainings:
    monkeypatch.chdir(tmp_path)
    fake = Trainings([])
    monkeypatch.setattr(Job, "of", fake.job)
    monkeypatch.setattr(entry, "run_seed", fake.run_seed)
    return fake


@pytest.mark.parametrize(
    ("seeds", "changes", "trained"),
    [
        ((0, 1), {}, []),
        ((0,), {}, [1]),
        ((0, 1, 2), {}, []),
        ((0, 1), {"fingerprint": "other code"}, [0, 1]),
        ((0, 1), {"sampling": {"n": 2, "batch_size": 500}}, [0, 1]),
    ],
)
def test_who_waited_keeps_the_runs_of_the_other_if_they_are_its_own(
    trainings: Trainings,
    capsys: pytest.CaptureFixture[str],
    seeds: tuple[int, ...],
    changes: dict[str, object],
    trained: list[int],
) -> None:
    """DVC still reads the first one's folder when the lock is free: it must not be emptied for nothing."""
    waiting, told = threading.Thread(target=trainings.train), [""]
    with training_alone("digits", "vae"):
        waiting.start()
        assert until(lambda: told.append(capsys.readouterr().err) or "waiting" in "".join(told))
        for seed in seeds:
            trainings.write(seed, **changes)
    waiting.join(10)
    assert trainings.trained == trained
    assert ("that process trained" in capsys.readouterr().err) == (seeds == (0, 1) and not trained)
    assert sorted(path.name for path in Path("runs/digits/vae").iterdir()) == ["run-0.json", "run-1.json"]


@pytest.mark.parametrize(("store", "trained"), [("store", [0, 1]), (None, [0, 1, 0, 1])])
def test_who_did_not_wait_trains_what_is_not_remembered(
    trainings: Trainings, store: str | None, trained: list[int]
) -> None:
    trainings.store = store
    trainings.train()
    trainings.train()
    assert trainings.trained == trained


@pytest.mark.parametrize(("store", "trained"), [("store", [0, 1]), (None, [0, 1, 0])])
def test_a_folder_emptied_meanwhile_is_filled_again(
    trainings: Trainings, store: str | None, trained: list[int]
) -> None:
    """As by a `dvc repro` that is started beside the stage, empties the folder and waits."""
    folder, trainings.store = Path("runs/digits/vae"), store
    trainings.before = lambda seed: shutil.rmtree(folder) if trainings.trained == [0] else None
    trainings.train()
    assert trainings.trained == trained
    assert sorted(path.name for path in folder.iterdir()) == ["run-0.json", "run-1.json"]


def test_auto_finds_a_device_and_a_missing_gpu_is_named() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(SettingsError, match=r"training.device is 'cuda:99', but this machine has"):
        choose_device("cuda:99")


def test_the_machine_has_a_processor_cores_and_an_instruction_set() -> None:
    name = machine_name()
    assert re.fullmatch(r"\S.* \(\d+ cores, \S+\)", name)
    assert f"({os.cpu_count()} cores" in name and torch.backends.cpu.get_cpu_capability() in name


@pytest.mark.parametrize("name", ["foo", "cuda:x", "cuda:-1", "mps", "meta", "CPU", "cpu:0", ""])
def test_a_device_of_another_kind_is_told_what_there_is(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"--device is '{name}'. Valid: auto, cpu, cuda, cuda:N"):
        choose_device(name, "--device")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a sound run; yields where its description lies."""
    folder = tmp_path / "digits" / "vae"
    network = build(SETTINGS, SCHEMA)
    write_weights(folder / "weights-0.pt", network)
    names = {"dataset": "digits", "model": "vae", "view": "binary", "status": "completed", "seed": 0}
    form = {"settings": SETTINGS.model_dump(mode="json"), "schema": SCHEMA.to_json()}
    write_json(folder / "run-0.json", names | form | {"weights_sha256": sha256_file(folder / "weights-0.pt")})
    assert isinstance(dgmbench.load_run("digits", "vae", runs=tmp_path), VAE)
    return folder / "run-0.json"


@pytest.mark.parametrize("content", ["{", "", "[]", "5", "{}", "\xff", "[" * 100_000, None])
def test_a_damaged_description_of_a_run_is_a_sentence(run: Path, content: str | None) -> None:
    if content is None:
        run.unlink()
        run.mkdir()
    else:
        run.write_text(content, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"run-0\.json.*; train this run again"):
        dgmbench.load_run("digits", "vae", runs=run.parent.parent.parent)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": []},
        {"settings": {}},
        {"settings": {"family": "vea"}},
        {"settings": {"family": "vae", "view": "binary", "hidden": "many"}},
        {"settings": {"family": 5}},
        {"schema": 5},
        {"schema": {}},
        {"schema": SCHEMA.to_json() | {"target": {"kind": "image", "shape": ["a", "b", "c"], "levels": 17}}},
        {"schema": image_schema((1, 3, 3), 17).to_json()},
        {"schema": SCHEMA.to_json() | {"target": {"kind": "image", "shape": [1, 2, 2], "levels": "many"}}},
        {"schema": SCHEMA.to_json() | {"target": {"kind": "video"}}},
        {"schema": SCHEMA.to_json() | {"target": {"kind": "image", "frames": 2}}},
    ],
)
def test_a_description_that_does_not_fit_its_weights_is_a_sentence(run: Path, change: dict) -> None:
    write_json(run, read_json(run) | change)
    with pytest.raises(CheckpointError, match=r"run-0.json does not describe weights-0.pt"):
        dgmbench.load_run("digits", "vae", runs=run.parent.parent.parent)


@pytest.mark.parametrize("content", [None, b"", b"no array", b"\x93NUMPY"])
def test_samples_that_cannot_be_read_are_a_sentence(run: Path, content: bytes | None) -> None:
    if content is not None:
        (run.parent / "samples-0.npy").write_bytes(content)
    found = open_run("digits", "vae", 0, runs=run.parent.parent.parent)
    with pytest.raises(CheckpointError, match=r"samples-0.npy cannot be read"):
        found.samples()


@pytest.fixture
def gpu_defaults() -> Iterator[None]:
    """torch's flags as it sets them, also afterwards."""
    flags = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [flag.allow_tf32 for flag in flags]
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    yield
    for flag, value in zip(flags, before, strict=True):
        flag.allow_tf32 = value


def test_float32_is_float32_once_a_stage_is_set_up(gpu_defaults: None) -> None:
    set_up(TrainingSettings())
    assert torch.backends.cudnn.allow_tf32 is False
    assert torch.backends.cuda.matmul.allow_tf32 is False
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_convolutions_on_a_gpu_are_exact_once_a_stage_is_set_up(gpu_defaults: None) -> None:
    """TF32 is off by 1e-3 of a product of this length, float32 by 1e-6."""
    device = set_up(TrainingSettings(device="cuda"))
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(shape, generator=generator) for shape in ((8, 64, 28, 28), (64, 64, 3, 3)))
    found = torch.nn.functional.conv2d(x.to(device), weight.to(device)).cpu().double()
    expected = torch.nn.functional.conv2d(x.double(), weight.double())
    assert float((found - expected).abs().max() / expected.std()) < 1e-5


def test_a_full_disk_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemExit) as stopped:
        guarded(lambda: write_text(tmp_path / "results.csv", "numbers"))
    assert stopped.value.code == 2
    assert "no room left on the disk" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
