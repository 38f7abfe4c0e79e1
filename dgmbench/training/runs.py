"""Runs: training one seed of a model entry, and what it leaves on disk.

``runs/<dataset>/<model>/`` holds, for each seed, ``run-<seed>.json`` (settings, hashes, status, times),
``history-<seed>.csv`` (learning curves), ``weights-<seed>.pt`` and ``samples-<seed>.npy``.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import dgmbench
from dgmbench.data.dataset import Dataset, load_dataset
from dgmbench.data.schema import Schema
from dgmbench.errors import LabelsError
from dgmbench.files import replacing, sha256_file, sha256_json, write_json
from dgmbench.models.base import ModelSettings
from dgmbench.models.capabilities import CanSample
from dgmbench.models.registry import family_class, family_module
from dgmbench.provenance import code_hash, git_commit, versions
from dgmbench.settings import Params, model_settings
from dgmbench.training.alone import CHECKPOINTS
from dgmbench.training.closed_form import train
from dgmbench.training.devices import device_name, machine_name, set_up
from dgmbench.training.examples import Examples, examples_by_set
from dgmbench.training.loading import build
from dgmbench.training.outcome import HISTORY_COLUMNS, UNAVAILABLE, How, Outcome
from dgmbench.training.replay import replay
from dgmbench.training.sampling import draw_conditions, draw_samples

DATA = Path("data")


def training_code(family: str) -> dict[str, str]:
    """Hash by file of the code that training a family depends on."""
    return code_hash("stages.train", family_module(family))


@dataclass(frozen=True)
class Job:
    """One model entry on one data set: everything its seeds share."""

    params: Params
    dataset: str
    model: str
    data: Dataset
    settings: ModelSettings
    device: torch.device
    code_sha256: str
    commit: str | None

    @classmethod
    def of(cls, params: Params, dataset: str, model: str) -> Job:
        """The job of a data set and a model entry of the settings."""
        settings = model_settings(params, model)
        device = set_up(params.training)
        code = sha256_json(training_code(settings.family))
        return cls(params, dataset, model, load_dataset(dataset, DATA), settings, device, code, git_commit())

    def fingerprint(self, seed: int) -> str:
        """One hash of everything that a run's numbers depend on; equal fingerprint, equal run (on CPU)."""
        return sha256_json(
            {
                "dataset": self.dataset,
                "data": self.data.sha256,
                "data_seed": self.params.data.seed,
                "model": self.model,
                "settings": self.settings.model_dump(mode="json"),
                "precision": self.params.training.precision,
                "device": self.device.type,
                "seed": seed,
                "code": self.code_sha256,
                "versions": versions(),
            }
        )

    def examples_by_set(self) -> Callable[[int], Examples]:
        """What its models are trained and validated on, by the label set, which is the training seed."""
        supervision = family_class(self.settings.family).supervision
        return examples_by_set(self.data, self.params.data.seed, self.device, self.settings, supervision)

    def replay(self, examples: Examples, seed: int) -> dict[str, Any]:
        """The digest of a short training of a seed by this process's code."""
        precision = self.params.training.precision
        return replay(self.settings, self.data.schema, examples, seed, self.device, precision)

    def checkpoint(self, seed: int) -> Path:
        """Where a seed's state is kept while the entry is in training."""
        return CHECKPOINTS / self.dataset / self.model / f"seed-{seed}.ckpt"


def leave_out(job: Job, seed: int, folder: Path, reason: LabelsError) -> None:
    """Describe a run of an entry that the data set has no labels for; the other entries are trained."""
    label = f"train {job.dataset} {job.model} seed {seed}"
    print(f"{label}: {UNAVAILABLE}: {reason}", file=sys.stderr)
    schema = job.data.schema
    outcome = Outcome(UNAVAILABLE, str(reason), 0, 0, 0.0)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"run-{seed}.json", _describe(job, schema, 0, outcome, seed, (0, 0.0), folder))


def run_seed(job: Job, examples: Examples, seed: int, folder: Path) -> None:
    """Train one seed (or take it up where it stopped), draw its samples and write its files."""
    training = job.params.training
    how = How(
        job.device,
        training.precision,
        job.checkpoint(seed),
        training.checkpoint_seconds,
        job.fingerprint(seed),
        f"train {job.dataset} {job.model} seed {seed}",
    )
    network = build(job.settings, job.data.schema, seed)
    outcome = train(network, examples, job.settings.training, seed, how)
    folder.mkdir(parents=True, exist_ok=True)
    _write_history(folder / f"history-{seed}.csv", outcome)
    write_weights(folder / f"weights-{seed}.pt", network)
    seconds = 0.0
    drawn = 0
    if outcome.status == "completed" and isinstance(network, CanSample):
        try:
            conditions = draw_conditions(examples.train, job.params.sampling.n, seed)
            samples, seconds = draw_samples(network, job.params.sampling, seed, job.device, conditions)
            _write_array(folder / f"samples-{seed}.npy", samples)
            if conditions is not None:
                _write_array(folder / f"conditions-{seed}.npy", conditions.numpy())
            drawn = len(samples)
        except ValueError as error:
            outcome.status, outcome.reason = "diverged", str(error)
    if outcome.status != "completed":
        print(f"{how.label}: {outcome.status}: {outcome.reason}", file=sys.stderr)
    schema, size = network.schema, network.parameter_count()
    info = _describe(job, schema, size, outcome, seed, (drawn, seconds), folder)
    write_json(folder / f"run-{seed}.json", info | {"replay": job.replay(examples, seed)})


def _describe(
    job: Job,
    schema: Schema,
    parameters: int,
    outcome: Outcome,
    seed: int,
    sampled: tuple[int, float],
    folder: Path,
) -> dict[str, Any]:
    return {
        "dataset": job.dataset,
        "model": job.model,
        "seed": seed,
        "view": job.settings.view,
        "schema": schema.to_json(),
        "status": outcome.status,
        "reason": outcome.reason,
        "settings": job.settings.model_dump(mode="json"),
        "training": job.params.training.model_dump(mode="json"),
        "sampling": job.params.sampling.model_dump(mode="json"),
        "fingerprint": job.fingerprint(seed),
        "data_sha256": job.data.sha256,
        "code_sha256": job.code_sha256,
        "weights_sha256": _hash_of(folder / f"weights-{seed}.pt"),
        "samples_sha256": _hash_of(folder / f"samples-{seed}.npy"),
        "conditions_sha256": _hash_of(folder / f"conditions-{seed}.npy"),
        "commit": job.commit,
        "parameters": parameters,
        "steps": outcome.steps,
        "selected_step": outcome.selected_step,
        "training_seconds": outcome.seconds,
        "sampling_seconds": sampled[1],
        "n_samples": sampled[0],
        "device": device_name(job.device),
        "machine": machine_name(),
        "versions": versions() | {"torch": torch.__version__, "dgmbench": dgmbench.__version__},
    }


def _hash_of(path: Path) -> str | None:
    return sha256_file(path) if path.exists() else None


def _write_history(path: Path, outcome: Outcome) -> None:
    with replacing(path) as aside, open(aside, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(HISTORY_COLUMNS)
        writer.writerows(outcome.history)


def write_weights(path: Path, module: nn.Module) -> None:
    """Write a module's state dict from the CPU; equal states give equal bytes."""
    # By way of memory: torch would write the temporary file's name into the archive, and turns a full disk
    # into an error that does not say so.
    buffer = io.BytesIO()
    torch.save({name: value.cpu() for name, value in module.state_dict().items()}, buffer)
    with replacing(path) as aside:
        aside.write_bytes(buffer.getbuffer())


def _write_array(path: Path, array: np.ndarray[Any, Any]) -> None:
    with replacing(path) as aside, open(aside, "wb") as handle:
        np.save(handle, array)
