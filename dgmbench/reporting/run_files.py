"""Files that trainings and evaluations left beside their records: runs, arrays, manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dgmbench.data.dataset import read_manifest
from dgmbench.data.schema import Schema
from dgmbench.errors import CheckpointError, DamagedFileError
from dgmbench.files import read_object
from dgmbench.reporting.records import FAILURES


@dataclass(frozen=True)
class Run:
    """One trained (data set, model, seed): the content of its `run-<seed>.json` and where it lies."""

    dataset: str
    model: str
    seed: int
    info: dict[str, Any]
    directory: Path

    @property
    def view(self) -> str:
        """`binary` or `gray`."""
        return str(self.info["view"])

    @property
    def failed(self) -> bool:
        """Whether training stopped at a value that is not a number ("diverged"), collapsed or never began."""
        return self.info.get("status") in FAILURES

    @property
    def history_path(self) -> Path:
        """The learning curves: long form, columns step, epoch, split, name, value."""
        return self.directory / f"history-{self.seed}.csv"

    def history(self) -> pd.DataFrame:
        """Learning curves (nats per image); an empty frame when the run left none."""
        columns = ["step", "epoch", "split", "name", "value"]
        if not self.history_path.exists():
            return pd.DataFrame(columns=columns)
        return pd.read_csv(self.history_path, dtype={"split": str, "name": str})[columns]

    def samples(self) -> np.ndarray | None:
        """Generated images, uint8 levels `[n, C, H, W]`, or token ids `[n, T]`; None if the run left none."""
        path = self.directory / f"samples-{self.seed}.npy"
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else None


def load_runs(
    runs_root: Path, datasets: Sequence[str], models: Sequence[str], seeds: Sequence[int]
) -> list[Run]:
    """The runs that exist, ordered by data set, model and seed as given.

    Raises `CheckpointError` for a run file that cannot be read.
    """
    found = []
    for dataset in datasets:
        for model in models:
            for seed in seeds:
                directory = Path(runs_root) / dataset / model
                path = directory / f"run-{seed}.json"
                if path.exists():
                    found.append(Run(dataset, model, seed, _read_run(path), directory))
    return found


def _read_run(path: Path) -> dict[str, Any]:
    try:
        return read_object(path, ("view",))
    except DamagedFileError as error:
        raise CheckpointError(f"{error}; train this run again") from error


def load_manifests(data_root: Path, datasets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The manifest of each data set. Raises `DataError` where it is missing or damaged."""
    return {dataset: read_manifest(dataset, data_root) for dataset in datasets}


def load_ways(results_root: Path, run: Run) -> dict[str, np.ndarray]:
    """Samples drawn in a run's further ways, uint8 `[n, C, H, W]` by the name `<model>/<way>`."""
    folder = Path(results_root) / run.dataset / run.model
    found = {}
    for path in sorted(folder.glob(f"*/samples-{run.seed}.npz")):
        with np.load(path, allow_pickle=False) as content:
            found[f"{run.model}/{path.parent.name}"] = content["samples"]
    return found


def load_class_counts(results_root: Path, run: Run) -> dict[str, dict[str, np.ndarray]]:
    """Counts `generated` and `real` by class, `[c]`, of a run and its ways, by model or `<model>/<way>`.

    Empty where the evaluation left none.
    """
    folder, name = Path(results_root) / run.dataset / run.model, f"classes-{run.seed}.npz"
    own = {run.model: _arrays(folder / name)} if (folder / name).exists() else {}
    ways = {f"{run.model}/{path.parent.name}": _arrays(path) for path in sorted(folder.glob(f"*/{name}"))}
    return own | ways


def load_neighbours(results_root: Path, run: Run) -> dict[str, np.ndarray] | None:
    """Nearest training images of generated ones, as the evaluation wrote them, or None.

    Distances in the domain classifier's features, where there are any, have names that begin `domain_`.
    """
    folder = Path(results_root) / run.dataset / run.model
    path = folder / f"neighbours-{run.seed}.npz"
    if not path.exists():
        return None
    inside = folder / f"neighbours-domain-{run.seed}.npz"
    domain = {f"domain_{name}": array for name, array in _arrays(inside).items()} if inside.exists() else {}
    return _arrays(path) | domain


def first_files(runs: Sequence[Run], results_root: Path, stem: str, suffix: str) -> dict[str, Path]:
    """By model, the file `<stem>-<seed>.<suffix>` of its first seed that has one."""
    found: dict[str, Path] = {}
    for run in runs:
        path = Path(results_root) / run.dataset / run.model / f"{stem}-{run.seed}.{suffix}"
        if not run.failed and path.exists():
            found.setdefault(run.model, path)
    return found


def named_arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """The arrays of a file; `CheckpointError` if it cannot be read or lacks one of `names`."""
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); run the evaluate stage again") from error
    missing = [name for name in names if name not in arrays]
    if missing:
        raise CheckpointError(f"{path} lacks {', '.join(missing)}; run the evaluate stage again")
    return arrays


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def schema_of(manifest: Mapping[str, Any]) -> Schema:
    """What the examples of a data set are."""
    return Schema.from_json(manifest["schema"])


def levels_of(manifest: Mapping[str, Any], view: str) -> int:
    """How many values a pixel takes in a view of images: 2 in `binary`, else the data set's levels."""
    return 2 if view == "binary" else schema_of(manifest).image.levels


def held_out_images(data_root: Path, manifest: Mapping[str, Any], view: str, n: int) -> np.ndarray | None:
    """`n` test images in a view's levels, uint8 `[n, C, H, W]`; None when no array is found.

    They lie evenly through the split: the first ones may be of one class (Larochelle's MNIST is sorted).
    A binary array of the test split is used if the data set has one; otherwise gray levels are cut at
    one half, which is good enough for the picture that this is for (no number is drawn from it).
    """
    path = _test_array(Path(data_root) / str(manifest["name"]), manifest, view)
    if path is None:
        return None
    kept = np.load(path, mmap_mode="r", allow_pickle=False)
    count = min(n, len(kept))
    images = np.array(kept[np.arange(count) * len(kept) // count])
    if view == "binary" and images.max(initial=0) > 1:
        return (images > (schema_of(manifest).image.levels - 1) / 2).astype(np.uint8)
    return images


def _test_array(folder: Path, manifest: Mapping[str, Any], view: str) -> Path | None:
    """The test split's image array: the one named for the view first, never the labels."""
    names = [n for n in sorted(manifest["arrays"]) if "test" in n and "label" not in n and n.endswith(".npy")]
    fitting = [n for n in names if view in n] + [n for n in names if "binary" not in n and "gray" not in n]
    fitting += names
    return next((folder / n for n in fitting if (folder / n).exists()), None)


def first_finished(runs: Sequence[Run]) -> list[Run]:
    """The first seed of each model that did not diverge, in the order of the runs."""
    chosen: dict[str, Run] = {}
    for run in runs:
        if not run.failed:
            chosen.setdefault(run.model, run)
    return list(chosen.values())
