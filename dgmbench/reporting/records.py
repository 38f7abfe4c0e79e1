"""Records that the stages left: merging them, picking models from them, one for each cell of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dgmbench.errors import CheckpointError
from dgmbench.files import read_json
from dgmbench.metrics import all_metrics
from dgmbench.points import Points, points_path, read_points
from dgmbench.results import COLUMNS, read_records

CLASSIFIER = "classifier"
# Values by test image of (data set, model or way of sampling, seed), by metric and unit.
RunPoints = Mapping[tuple[str, str, int], Mapping[tuple[str, str], Points]]
# Records of a control carry the model name `control/<control>/<subject>`.
CONTROL = "control/"
# How a training can fail; also the metric of the one record that is then kept.
FAILURES = tuple(metric.name for metric in all_metrics() if metric.failure)


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


def points_of(points: RunPoints, dataset: str, model: str) -> dict[int, Mapping[tuple[str, str], Points]]:
    """The points of one model by seed."""
    return {seed: own for (d, m, seed), own in points.items() if (d, m) == (dataset, model)}


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


def headline_records(frame: pd.DataFrame) -> pd.DataFrame:
    """One record per (data set, view, model, seed, metric, unit): the test split's where there are several.

    Raises `ValueError` if two records remain for the same cell, which a mean would hide.
    """
    key = ["dataset", "view", "model", "seed", "metric", "unit"]
    on_test = frame["split"] == "test"
    has_test = on_test.groupby([frame[name] for name in key]).transform("any") if len(frame) else on_test
    kept = frame[on_test | ~has_test.astype(bool)]
    twice = kept[kept.duplicated(key)]
    if len(twice):
        row = twice.iloc[0]
        where = f"{row['dataset']}/{row['model']} seed {row['seed']}"
        raise ValueError(f"{where}: {row['metric']} ({row['unit']}) occurs twice")
    return kept
