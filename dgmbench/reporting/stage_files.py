"""Reading what the stages left: runs, results, neighbours, manifests. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dgmbench.data.dataset import read_manifest
from dgmbench.errors import CheckpointError, DamagedFileError
from dgmbench.files import read_json, read_object
from dgmbench.points import Points, points_path, read_points
from dgmbench.results import COLUMNS, read_records

CLASSIFIER = "classifier"
# Values by test image of (data set, model or way of sampling, seed), by metric and unit.
RunPoints = Mapping[tuple[str, str, int], Mapping[tuple[str, str], Points]]
# Records of a control carry the model name `control/<control>/<subject>`.
CONTROL = "control/"
# How a training can fail; also the metric of the one record that is then kept.
FAILURES = ("diverged", "collapsed")


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
        """Whether training stopped at a value that is not a number ("diverged"), or collapsed."""
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
        """Generated images, uint8 levels `[n, C, H, W]`, or None when the run left none."""
        path = self.directory / f"samples-{self.seed}.npy"
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else None


def merge_results(
    results_root: Path,
    datasets: Sequence[str],
    models: Sequence[str],
    seeds: Sequence[int] | None = None,
    controls: Sequence[str] = (),
) -> pd.DataFrame:
    """All records of the given data sets and models, plus the classifier's and the controls', in one frame.

    Rows are ordered by data set and by model or control as given, then seed, then as the evaluation wrote
    them, whatever order the file system lists directories in. Records of models or seeds that are no longer
    asked for are left out (a control's seeds are its own repetitions). A model or control without a results
    file is an error: a table that silently lacks it misleads.
    """
    frames = []
    for dataset in datasets:
        for model in [*models, CLASSIFIER]:
            path = Path(results_root) / dataset / model / "results.csv"
            if path.exists():
                frames.append(_of_seeds(_own(path, dataset, model), model, seeds))
            elif model != CLASSIFIER:
                raise CheckpointError(f"{path} is missing; run `dvc repro` (or the evaluate stage) first")
        frames += [_control_records(results_root, dataset, control) for control in controls]
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(COLUMNS))


def load_points(results_root: Path, frame: pd.DataFrame) -> RunPoints:
    """What evaluations left by test image for the models of a frame of records."""
    keys = frame.loc[is_compared(frame["model"]), ["dataset", "model", "seed"]].drop_duplicates()
    found = {}
    for dataset, model, seed in keys.itertuples(index=False):
        points = read_points(points_path(Path(results_root) / dataset / model, int(seed)))
        if points:
            found[str(dataset), str(model), int(seed)] = points
    return found


def load_left_out(results_root: Path, datasets: Sequence[str], models: Sequence[str]) -> list[dict[str, Any]]:
    """What evaluations could not measure: data set, model, seed, metric, reason, in the order of models."""
    found = []
    for dataset in datasets:
        for model in models:
            path = Path(results_root) / dataset / model / "left-out.json"
            found += [{"dataset": dataset, **each} for each in (read_json(path) if path.exists() else [])]
    return found


def control_folder(results_root: Path, dataset: str, control: str) -> Path:
    """Where a control left its files; `CheckpointError` if it has not been carried out."""
    folder = Path(results_root) / dataset / f"control-{control}"
    if not (folder / "results.csv").exists():
        missing = folder / "results.csv"
        raise CheckpointError(f"{missing} is missing; run `dvc repro` (or the control stage) first")
    return folder


def is_compared(models: pd.Series) -> pd.Series:
    """Which names of a frame's model column are models: neither the classifier nor part of a control."""
    return (models != CLASSIFIER) & ~models.astype(str).str.startswith(CONTROL)


def _control_records(results_root: Path, dataset: str, control: str) -> pd.DataFrame:
    path = control_folder(results_root, dataset, control) / "results.csv"
    return _own(path, dataset, f"{CONTROL}{control}/", prefix=True)


def _own(path: Path, dataset: str, model: str, prefix: bool = False) -> pd.DataFrame:
    """A file's records; refuses those that belong elsewhere."""
    frame = read_records(path)
    ways = frame["model"].str.startswith(f"{model}/")
    own = frame["model"].str.startswith(model) if prefix else (frame["model"] == model) | ways
    strangers = frame[(frame["dataset"] != dataset) | ~own]
    if len(strangers):
        first = strangers.iloc[0]
        raise CheckpointError(f"{path} holds records of {first['dataset']}/{first['model']}: not its own")
    return frame


def _of_seeds(frame: pd.DataFrame, model: str, seeds: Sequence[int] | None) -> pd.DataFrame:
    """Drop other seeds, and sort by seed (stable)."""
    if seeds is not None and model != CLASSIFIER:
        frame = frame[frame["seed"].isin(list(seeds))]
    return frame.sort_values("seed", kind="stable")


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


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def levels_of(manifest: Mapping[str, Any], view: str) -> int:
    """How many values a pixel takes in a view: 2 in `binary`, the data set's levels in `gray`."""
    return 2 if view == "binary" else int(manifest["levels"])


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
        return (images > (int(manifest["levels"]) - 1) / 2).astype(np.uint8)
    return images


def _test_array(folder: Path, manifest: Mapping[str, Any], view: str) -> Path | None:
    """The test split's image array: the one named for the view first, never the labels."""
    names = [n for n in sorted(manifest["arrays"]) if "test" in n and "label" not in n and n.endswith(".npy")]
    fitting = [n for n in names if view in n] + [n for n in names if "binary" not in n and "gray" not in n]
    fitting += names
    return next((folder / n for n in fitting if (folder / n).exists()), None)
