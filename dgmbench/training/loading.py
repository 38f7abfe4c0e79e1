"""Loading a run: the trained model, its description and its samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dgmbench.data.schema import Schema
from dgmbench.errors import CheckpointError, DamagedFileError, SettingsError
from dgmbench.files import read_json, read_object, sha256_file
from dgmbench.models.base import Model, ModelSettings
from dgmbench.models.registry import family_class
from dgmbench.training.checkpoints import load_tensors
from dgmbench.training.seeding import initialising

RUNS = Path("runs")
# What a run's description is read for.
DESCRIBED = (
    "dataset",
    "model",
    "seed",
    "view",
    "status",
    "settings",
    "schema",
    "weights_sha256",
)


def build(settings: ModelSettings, schema: Schema, seed: int = 0) -> Model:
    """A freshly initialised model; the same parameters for the same seed on any device."""
    with initialising("initialise", seed):
        return family_class(settings.family)(settings, schema)


@dataclass(frozen=True)
class Run:
    """A trained model (in eval mode) and what is known of it."""

    model: Model
    info: dict[str, Any]
    folder: Path

    @property
    def is_first(self) -> bool:
        """Whether its seed is the least of the entry whose training completed."""
        infos = [self.info, *(read_json(path) for path in self.folder.glob("run-*.json"))]
        return bool(self.info["seed"] == min(i["seed"] for i in infos if i["status"] == "completed"))

    def samples(self) -> np.ndarray[Any, Any]:
        """The generated examples that were scored: uint8 levels ``[n, C, H, W]``, or tokens ``[n, T]``.

        Raises:
            CheckpointError: if there are none, or the file is damaged.
        """
        return self._array("samples")

    def conditions(self) -> np.ndarray[Any, Any] | None:
        """The condition of each sample, ``[n, ...]``; None for a model without condition.

        Raises:
            CheckpointError: if the file is damaged.
        """
        there = (self.folder / f"conditions-{self.info['seed']}.npy").exists()
        return self._array("conditions") if there else None

    def _array(self, name: str) -> np.ndarray[Any, Any]:
        path = self.folder / f"{name}-{self.info['seed']}.npy"
        try:
            return np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise CheckpointError(f"{path} cannot be read ({error}); train this run again") from error


def run_info(dataset: str, model: str, seed: int, runs: Path | str = RUNS) -> dict[str, Any]:
    """What ``run-<seed>.json`` says of a run.

    Raises:
        CheckpointError: if there is no such run, with the runs that there are, or the file is damaged.
    """
    path = Path(runs) / dataset / model / f"run-{seed}.json"
    if not path.exists():
        there = sorted(
            f"{found.parent.name} seed {found.stem[4:]}" for found in path.parent.parent.glob("*/run-*.json")
        )
        raise CheckpointError(
            f"no run {path}. There are: {', '.join(there) or 'none'}; `dvc repro` trains them"
        )
    try:
        return read_object(path, DESCRIBED)
    except (OSError, DamagedFileError) as error:
        raise CheckpointError(f"{error}; train this run again") from error


def open_run(
    dataset: str, model: str, seed: int, *, runs: Path | str = RUNS, device: torch.device | str = "cpu"
) -> Run:
    """A run with its trained model on `device`.

    Raises:
        CheckpointError: if there is no such run, its description is damaged, or its weights are not those
            that were written.
    """
    info = run_info(dataset, model, seed, runs)
    folder = Path(runs) / dataset / model
    weights = folder / f"weights-{seed}.pt"
    found = sha256_file(weights) if weights.exists() else "no file"
    if found != info["weights_sha256"]:
        raise CheckpointError(
            f"{weights} is damaged: expected SHA-256 {info['weights_sha256']}, found {found}"
        )
    try:
        family = family_class(info["settings"]["family"])
        settings = family.Settings.model_validate(info["settings"])
        network = build(settings, Schema.from_json(info["schema"]))
        network.load_state_dict(load_tensors(weights, weights))
    except (KeyError, TypeError, ValueError, RuntimeError, SettingsError) as error:
        raise CheckpointError(
            f"{folder / f'run-{seed}.json'} does not describe {weights.name} ({error}); train this run again"
        ) from error
    return Run(network.eval().to(device), info, folder)


def load_run(
    dataset: str, model: str, seed: int = 0, *, runs: Path | str = RUNS, device: str = "cpu"
) -> Model:
    """The trained model of ``runs/<dataset>/<model>/``, in eval mode; errors as `open_run`."""
    return open_run(dataset, model, seed, runs=runs, device=device).model
