"""What runs left behind, by seed and by model entry, read once for all stores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from dgmbench.files import sha256_file, sha256_json
from dgmbench.reporting.comparison.cells import SeedPoints
from dgmbench.reporting.records import load_points, merge_results, points_of
from dgmbench.reporting.run_files import Run, load_manifests, load_runs

# Raised when what is logged of equal results changes, so that stores get it.
_FORMAT = 2


def entry_key(pipeline: str, dataset: str, model: str) -> str:
    """Of an entry, which belongs to a pipeline: its means are over that pipeline's seeds."""
    return f"{pipeline}/{dataset}/{model}"


def seed_key(dataset: str, model: str, seed: int) -> str:
    """Of a training, which pipelines may share."""
    return f"{dataset}/{model}/{seed}"


@dataclass(frozen=True)
class SeedEntry:
    """One run with its own results."""

    run: Run
    results: pd.DataFrame
    results_root: Path

    @property
    def key(self) -> str:
        """Data set, model and seed."""
        return seed_key(self.run.dataset, self.run.model, self.run.seed)

    @property
    def seconds(self) -> float:
        """What training took."""
        return float(self.run.info.get("training_seconds") or 0.0)

    @cached_property
    def ended(self) -> float:
        """When its description was written, in seconds since 1970."""
        return (self.run.directory / f"run-{self.run.seed}.json").stat().st_mtime

    @cached_property
    def history_hash(self) -> str:
        """Of its learning curves: others mean another training."""
        path = self.run.history_path
        return sha256_file(path) if path.exists() else "none"

    @cached_property
    def content_hash(self) -> str:
        """Of results and curves."""
        values = self.results[["metric", "unit", "kind", "split", "value", "std_error"]].astype(str)
        return sha256_json([_FORMAT, values.to_numpy().tolist(), self.history_hash])


@dataclass(frozen=True)
class ModelEntry:
    """A model entry of a pipeline on one data set: its seeds, and all results of theirs."""

    pipeline: str
    dataset: str
    model: str
    manifest: Mapping[str, Any]
    seeds: tuple[SeedEntry, ...]
    points: SeedPoints

    @property
    def key(self) -> str:
        """Pipeline, data set and model."""
        return entry_key(self.pipeline, self.dataset, self.model)

    @property
    def results(self) -> pd.DataFrame:
        """Those of all seeds."""
        return pd.concat([seed.results for seed in self.seeds], ignore_index=True)

    @property
    def first(self) -> SeedEntry | None:
        """The first seed that finished, whose trained model is logged."""
        return next((seed for seed in self.seeds if not seed.run.failed), None)


def entries(
    params: Mapping[str, Any], runs_root: Path, results_root: Path, data_root: Path
) -> list[ModelEntry]:
    """Every model entry of the pipeline that has a run."""
    datasets, models, seeds = params["datasets"], list(params["models"]), params["seeds"]
    frame = merge_results(results_root, datasets, models, seeds)
    points = load_points(results_root, frame)
    manifests = load_manifests(data_root, datasets)
    by_model: dict[tuple[str, str], list[SeedEntry]] = {}
    for run in load_runs(runs_root, datasets, models, seeds):
        own = (frame["dataset"] == run.dataset) & (frame["model"] == run.model) & (frame["seed"] == run.seed)
        found = SeedEntry(run, frame[own], results_root)
        by_model.setdefault((run.dataset, run.model), []).append(found)
    return [
        ModelEntry(
            params["pipeline"],
            dataset,
            model,
            manifests[dataset],
            tuple(own),
            points_of(points, dataset, model),
        )
        for (dataset, model), own in by_model.items()
    ]


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as `a.b` -> text; lists and null as JSON."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return flat
