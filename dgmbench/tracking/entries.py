"""What runs should look like in an MLflow store, from the files that they left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from dgmbench.files import sha256_file, sha256_json
from dgmbench.metrics import declared
from dgmbench.reporting.records import merge_results
from dgmbench.reporting.run_files import Run, load_manifests, load_runs
from dgmbench.terms import ViewName

_NOTE_LIMIT = 20_000


@dataclass(frozen=True)
class Entry:
    """One run as it should stand in a store."""

    run: Run
    pipeline: str
    results: pd.DataFrame
    neighbours_root: Path
    manifest: Mapping[str, Any]
    history_hash: str
    content_hash: str

    @property
    def key(self) -> str:
        """Data set, model and seed: what `dgmbench.run` says."""
        return f"{self.run.dataset}/{self.run.model}/{self.run.seed}"

    @property
    def seconds(self) -> float:
        """What training took."""
        return float(self.run.info.get("training_seconds") or 0.0)


def entries(params: Mapping[str, Any], runs_root: Path, results_root: Path, data_root: Path) -> list[Entry]:
    """Every run of the pipeline that exists, with its results."""
    datasets, models, seeds = params["datasets"], list(params["models"]), params["seeds"]
    frame = merge_results(results_root, datasets, models, seeds)
    manifests = load_manifests(data_root, datasets)
    found = []
    for run in load_runs(runs_root, datasets, models, seeds):
        own = (frame["dataset"] == run.dataset) & (frame["model"] == run.model) & (frame["seed"] == run.seed)
        results = frame[own]
        path = run.history_path
        history = sha256_file(path) if path.exists() else "none"
        values = results[["metric", "unit", "kind", "split", "value", "std_error"]].astype(str)
        content = sha256_json([values.to_numpy().tolist(), history])
        manifest = manifests[run.dataset]
        found.append(Entry(run, params["pipeline"], results, results_root, manifest, history, content))
    return found


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as `a.b` -> text; lists and null as JSON."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def final_metrics(results: pd.DataFrame) -> dict[str, float]:
    """Results as `metric` -> value.

    A unit other than the metric's first is appended, and the split where it is not test.
    """
    values: dict[str, float] = {}
    for metric, unit, split, value in zip(
        results["metric"], results["unit"], results["split"], results["value"], strict=True
    ):
        name = str(metric) if unit == declared(str(metric)).units[0] else f"{metric}_{unit}"
        values[f"{name}_{split}" if name in values and split != "test" else name] = float(value)
    return values


def tags(entry: Entry) -> dict[str, str]:
    """What identifies a run, and what a reader filters by."""
    info = entry.run.info
    found = {
        "dgmbench.run": entry.key,
        "dgmbench.fingerprint": str(info.get("fingerprint")),
        "dgmbench.history": entry.history_hash,
        "dgmbench.superseded": "false",
        "pipeline": entry.pipeline,
        "model": entry.run.model,
        "seed": str(entry.run.seed),
        "view": entry.run.view,
        "status": str(info.get("status")),
        "device": str(info.get("device")),
        "data_sha256": str(info.get("data_sha256")),
        "code_sha256": str(info.get("code_sha256")),
        "mlflow.source.name": "dvc repro",
        "mlflow.source.type": "PROJECT",
    }
    found |= {f"version.{name}": str(version) for name, version in info.get("versions", {}).items()}
    if info.get("commit"):
        found |= {"commit": str(info["commit"]), "mlflow.source.git.commit": str(info["commit"])}
    if info.get("reason"):
        found["mlflow.note.content"] = f"{str(info['status']).capitalize()}: {info['reason']}"
    return found


def note(reports_dir: Path, dataset: str) -> str:
    """The comparison tables of a data set, as the experiment's description; empty without a report."""
    parts = [
        f"### {dataset}, {view} view\n\n{path.read_text(encoding='utf-8')}"
        for view in get_args(ViewName)
        if (path := reports_dir / "tables" / f"{dataset}-{view}.md").exists()
    ]
    text = "\n".join(parts)
    return text if len(text) <= _NOTE_LIMIT else text[: _NOTE_LIMIT - 1] + "…"
