"""The logged model: samples in a fresh process, is the one that was trained, runs no foreign code."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fabricate import fabricate
from places import ROOT

from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.files import read_json, sha256_file, write_json
from dgmbench.models.latent.vae import VAE, VAESettings
from dgmbench.tracking import logged_model, plain_pickle
from dgmbench.tracking.mlflow_store import sync
from dgmbench.tracking.saved_model import Sampler
from dgmbench.training.loading import load_run
from dgmbench.training.runs import write_weights

SETTINGS = {"family": "vae", "view": "binary", "hidden": [8], "latent_dim": 2}
FRESH = """
import json, sys
import numpy as np, pandas as pd, torch
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
sampler = mlflow.pyfunc.load_model(sys.argv[2])
rows = pd.DataFrame({"n": [3, 2], "seed": [1, 2]})
drawn = sampler.predict(rows)
model = mlflow.pytorch.load_model(sys.argv[2])
again = model.view.decode(model.sample(3, torch.Generator().manual_seed(1))).numpy()
print(json.dumps({
    "samples": drawn.tolist(), "dtype": str(drawn.dtype), "training": model.training,
    "same": bool(np.array_equal(drawn[:3], again)),
    "repeated": bool(np.array_equal(drawn, sampler.predict(rows))),
}))
"""


class Trained:
    """Invented results of one VAE with real weights, tracked in a store of its own."""

    def __init__(self, root: Path, empty_store: Path) -> None:
        self.root = root
        self.settings = fabricate(root, seeds=(0, 1), diverged=(("vae", 0),), points=3)
        self.settings["models"] = {"vae": self.settings["models"]["vae"]}
        self.folder = root / "runs" / "digits" / "vae"
        shutil.copy(empty_store, root / "mlflow.db")
        for seed in (0, 1):
            self._give_weights(seed)

    def _give_weights(self, seed: int) -> None:
        schema = image_schema((1, 8, 8), 17)
        path = self.folder / f"weights-{seed}.pt"
        write_weights(path, VAE(VAESettings.model_validate(SETTINGS), schema))
        info = self.folder / f"run-{seed}.json"
        write_json(
            info,
            read_json(info)
            | {"settings": SETTINGS, "schema": schema.to_json(), "n_samples": 5, "seed": seed}
            | {"weights_sha256": sha256_file(path), "versions": {"torch": torch.__version__, "numpy": "2.0"}},
        )

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.root / 'mlflow.db'}"

    def sync(self) -> None:
        sync(
            self.settings, *(self.root / name for name in ("runs", "results", "reports", "data")), [self.uri]
        )

    def models(self) -> list[Any]:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(self.uri)
        experiment = client.get_experiment_by_name("dgmbench-digits")
        assert experiment is not None
        return list(client.search_logged_models([experiment.experiment_id]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Trained:
    made = Trained(tmp_path_factory.mktemp("trained"), empty_store)
    made.sync()
    return made


def test_the_first_seed_that_finished_is_logged_once(trained: Trained) -> None:
    (model,) = trained.models()
    assert (model.name, model.tags["seed"], str(model.status)) == ("vae", "1", "READY")
    assert {"nats", "fid"} <= {metric.key for metric in model.metrics}
    trained.sync()
    assert [again.model_id for again in trained.models()] == [model.model_id]


def test_it_samples_in_a_fresh_process(trained: Trained) -> None:
    (model,) = trained.models()
    done = subprocess.run(
        [sys.executable, "-c", FRESH, trained.uri, f"models:/{model.model_id}"],
        capture_output=True, text=True, cwd=trained.root, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    samples = np.array(found["samples"])
    assert samples.shape == (5, 1, 8, 8) and found["dtype"] == "uint8"
    assert set(np.unique(samples)) == {0, 1}
    assert found["same"] and found["repeated"] and not found["training"]


def test_its_weights_are_those_of_the_run(trained: Trained) -> None:
    state = torch.load(data_of(trained), weights_only=True)["weights"]
    expected = load_run("digits", "vae", 1, runs=trained.root / "runs").state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def data_of(trained: Trained) -> Path:
    (model,) = trained.models()
    return Path(model.artifact_location.removeprefix("file://")) / "data" / "model.pth"


@pytest.mark.parametrize("rows", [{"n": [], "seed": []}, {}, {"seed": [1]}])
def test_nothing_to_draw_is_said(rows: dict[str, list[int]]) -> None:
    model = VAE(VAESettings.model_validate(SETTINGS), image_schema((1, 8, 8), 17))
    with pytest.raises(SettingsError, match="give rows of `n`"):
        Sampler(model).predict(pd.DataFrame(rows))


class Foreign:
    def __reduce__(self) -> Any:
        return os.mkdir, ("was-run",)


def test_a_file_that_asks_for_code_is_refused_and_none_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"about": Foreign(), "weights": {}}, tmp_path / "model.pth")
    with pytest.raises(pickle.UnpicklingError, match="mkdir is no part of a tensor"):
        torch.load(tmp_path / "model.pth", pickle_module=plain_pickle, weights_only=False)
    assert not (tmp_path / "was-run").exists()


def test_a_model_that_is_too_large_stays_in_its_run(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logged_model, "LARGEST_BYTES", 100)
    made = Trained(tmp_path, empty_store)
    made.sync()
    assert made.models() == []
