"""Finished runs, remembered: a seed is trained again only if something changed that its numbers depend on.

A run is remembered by its fingerprint (settings, data, code, versions of libraries, seed) and by how it was
sampled. DVC empties the folder of a stage before the stage runs; the store brings the runs back, to the byte.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dgmbench.errors import DamagedFileError
from dgmbench.files import read_object, sha256_file
from dgmbench.settings import Params
from dgmbench.store import Store


class Wanted(Protocol):
    """What is to be trained: `dgmbench.training.runs.Job`."""

    @property
    def params(self) -> Params:
        """The whole settings."""

    def fingerprint(self, seed: int) -> str:
        """One hash of everything that a run's numbers depend on."""


def keep_run(store: Store, folder: Path, seed: int) -> bool:
    """Remember a run of a folder, unless it is damaged. Returns whether it is remembered now."""
    try:
        info = read_object(folder / f"run-{seed}.json", ("fingerprint", "sampling"))
    except (OSError, DamagedFileError):
        return False
    key = _key(info["fingerprint"], info["sampling"])
    if store.folder is None or store.holds(key):
        return store.folder is not None
    fault = fault_of(info, folder, seed)
    if fault:
        print(f"{fault}; this run is not remembered", file=sys.stderr)
        return False
    names = [path.name for path in folder.glob(f"*-{seed}.*") if path.is_file()]
    store.keep(key, folder, names=sorted(names))
    return store.holds(key)


def fault_of(info: Mapping[str, Any], folder: Path, seed: int) -> str | None:
    """What is wrong with the files of a run by its description; None if nothing is."""
    weights, told = folder / f"weights-{seed}.pt", info.get("weights_sha256")
    if told is not None and (not weights.exists() or sha256_file(weights) != told):
        return f"{weights} is not what run-{seed}.json says"
    for name in ("samples", "conditions"):
        expected, path = info.get(f"{name}_sha256"), folder / f"{name}-{seed}.npy"
        if expected is not None and (not path.exists() or sha256_file(path) != expected):
            return f"{path} is not what run-{seed}.json says"
    if not info.get("n_samples"):
        return None
    samples = folder / f"samples-{seed}.npy"
    try:
        drawn = len(np.load(samples, mmap_mode="r"))
    except (OSError, ValueError, EOFError, TypeError) as error:
        return f"{samples} cannot be read ({error})"
    return None if drawn == info["n_samples"] else f"{samples} holds {drawn} samples, not {info['n_samples']}"


def keep_runs(store: Store, folder: Path) -> None:
    """Remember every run of a folder."""
    for path in sorted(folder.glob("run-*.json")):
        seed = path.stem.removeprefix("run-")
        if seed.isdigit():
            keep_run(store, folder, int(seed))


def bring_back(store: Store, job: Wanted, seeds: Iterable[int], folder: Path) -> list[int]:
    """Put the runs of some seeds into `folder`, where they are remembered. Returns those seeds."""
    sampling = job.params.sampling.model_dump(mode="json")
    return [
        seed for seed in seeds if store.restored(_key(job.fingerprint(seed), sampling), folder) is not None
    ]


def keep_all_runs(params: Params, runs: Path) -> None:
    """Remember the runs of every entry of the settings, before DVC empties their folders."""
    store = Store(params.evaluation.store)
    for dataset in params.datasets:
        for model in params.models:
            keep_runs(store, runs / dataset / model)


def _key(fingerprint: str, sampling: dict[str, Any]) -> tuple[Any, ...]:
    return ("run", fingerprint, sampling)
