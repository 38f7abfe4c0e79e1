"""Bring MLflow stores up to date with `runs/` and `results/`.

A sync, not a log: it reads what is on disk and adds what a store lacks, so it can be repeated at will,
after an interruption, after `mlflow.db` was deleted, or when every stage came from DVC's cache. An MLflow
run is found again by its tags:

- `dgmbench.run` (data set/model/seed) and `dgmbench.fingerprint` (settings, data, code) say what it is;
- `dgmbench.history` is the hash of its learning curves: other curves mean another training and run;
- `dgmbench.content` is the hash of results and curves, set last: without it the run is half-logged.

Metrics carry timestamps computed from the run's start, so logging a point again does not double it.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dgmbench.errors import TrackingError
from dgmbench.files import sha256_file, sha256_json, write_json
from dgmbench.reporting.figures import neighbours, pictures
from dgmbench.reporting.records import merge_results
from dgmbench.reporting.run_files import Run, levels_of, load_manifests, load_neighbours, load_runs
from dgmbench.reporting.words import VIEWS
from dgmbench.tracking.stores import (
    artifacts_follow,
    artifacts_of,
    check_store,
    explained,
    store_errors,
    without_password,
)

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.entities import Run as StoredRun
    from mlflow.tracking import MlflowClient

LOCAL_URI = "sqlite:///mlflow.db"
_ENVIRONMENT = "MLFLOW_TRACKING_URI"
_METRICS_PER_BATCH, _PARAMS_PER_BATCH = 1000, 100
_NOTE_LIMIT = 20_000
# (retries, seconds): short while finding out whether a server is there, patient once it has answered.
_PROBE, _WORK = (1, 5), (2, 60)


@dataclass
class StoreReport:
    """What a sync did to one store, as counts of runs."""

    uri: str
    created: int = 0
    completed: int = 0
    updated: int = 0
    untouched: int = 0
    superseded: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        """One line: the store, what was done, how long it took."""
        counts = [f"{getattr(self, name)} {name}" for name in _OUTCOMES if getattr(self, name)]
        return f"{self.uri}: {', '.join(counts) or 'no runs'} ({self.seconds:.1f} s)"


_OUTCOMES = ("created", "completed", "updated", "untouched", "superseded")


@dataclass
class SyncReport:
    """What a sync did, store by store."""

    stores: list[StoreReport] = field(default_factory=list)

    def __str__(self) -> str:
        """One line a store."""
        return "\n".join(str(store) for store in self.stores)


def tracking_uris(local: str = LOCAL_URI) -> list[str]:
    """The local store, then `MLFLOW_TRACKING_URI` if it is set to another one."""
    other = os.environ.get(_ENVIRONMENT, "").strip()
    return [local, other] if other and other != local else [local]


def sync(
    params: Mapping[str, Any],
    runs_root: Path,
    results_root: Path,
    reports_dir: Path,
    data_root: Path,
    uris: Sequence[str] | None = None,
) -> SyncReport:
    """Record every run of the pipeline in every store (default: `tracking_uris()`), local stores first.

    One experiment per data set (`dgmbench-<dataset>`), one run per (model, seed). Raises `TrackingError`
    after all stores were tried, naming each that did not take the runs; what the others took stays.
    """
    _quiet()
    wanted = _entries(params, runs_root, results_root, data_root)
    notes = {dataset: _note(Path(reports_dir), dataset) for dataset in params["datasets"]}
    report, failures = SyncReport(), []
    ordered = sorted(uris or tracking_uris(), key=lambda uri: uri.startswith(("http:", "https:")))
    for uri in dict.fromkeys(ordered):
        try:
            report.stores.append(_sync_store(uri, wanted, notes))
        except store_errors() as error:
            failures.append(f"{without_password(uri)}: {explained(uri, error)}")
    if failures:
        raise TrackingError(
            f"MLflow did not take the runs at {'. At '.join(failures)}. No result is lost: everything is in "
            f"{results_root} and {runs_root}, and `python -m stages.track` tries again."
        )
    return report


# What a run should look like in a store


@dataclass(frozen=True)
class _Entry:
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
        return f"{self.run.dataset}/{self.run.model}/{self.run.seed}"

    @property
    def seconds(self) -> float:
        return float(self.run.info.get("training_seconds") or 0.0)


def _entries(params: Mapping[str, Any], runs_root: Path, results_root: Path, data_root: Path) -> list[_Entry]:
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
        found.append(_Entry(run, params["pipeline"], results, results_root, manifest, history, content))
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
    """Results as `metric` -> value; the unit is appended to bits/dim, the split where it is not test."""
    values: dict[str, float] = {}
    for metric, unit, split, value in zip(
        results["metric"], results["unit"], results["split"], results["value"], strict=True
    ):
        name = f"{metric}_bits_per_dim" if unit == "bits_per_dim" else str(metric)
        values[f"{name}_{split}" if name in values and split != "test" else name] = float(value)
    return values


def _tags(entry: _Entry) -> dict[str, str]:
    info = entry.run.info
    tags = {
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
    tags |= {f"version.{name}": str(version) for name, version in info.get("versions", {}).items()}
    if info.get("commit"):
        tags |= {"commit": str(info["commit"]), "mlflow.source.git.commit": str(info["commit"])}
    if info.get("reason"):
        tags["mlflow.note.content"] = f"{str(info['status']).capitalize()}: {info['reason']}"
    return tags


# One store


def _sync_store(uri: str, wanted: Sequence[_Entry], notes: Mapping[str, str]) -> StoreReport:
    from mlflow.tracking import MlflowClient

    began = time.monotonic()
    report = StoreReport(without_password(uri))
    check_store(uri)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    if uri.startswith(("http:", "https:")):
        with _limits(*_PROBE):
            client.search_experiments(max_results=1)
    with _limits(*_WORK):
        for dataset, note in notes.items():
            experiment = _experiment(client, uri, dataset, note)
            stored = _stored_runs(client, experiment)
            for entry in wanted:
                if entry.run.dataset == dataset:
                    _sync_run(client, experiment, entry, stored.get(entry.key, []), report)
    report.seconds = time.monotonic() - began
    return report


def _experiment(client: MlflowClient, uri: str, dataset: str, note: str) -> str:
    """The experiment's id; made, or restored if it was deleted, with the comparison as its description."""
    name = f"dgmbench-{dataset}"
    found = client.get_experiment_by_name(name)
    if found is None:
        identity = str(client.create_experiment(name, artifacts_of(uri, name)))
        # Without it the UI takes the experiment for one of language-model traces and hides the metrics.
        client.set_experiment_tag(identity, "mlflow.experimentKind", "custom_model_development")
    else:
        identity = str(found.experiment_id)
        if artifacts_follow(uri, name, found.artifact_location):
            print(f"{without_password(uri)} has moved: artifacts of {name} are beside it", file=sys.stderr)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(identity)
    if note and (found is None or found.tags.get("mlflow.note.content") != note):
        client.set_experiment_tag(identity, "mlflow.note.content", note)
    return identity


def _stored_runs(client: MlflowClient, experiment: str) -> dict[str, list[StoredRun]]:
    """All runs of an experiment that a sync made, newest first, by `dgmbench.run`."""
    found: dict[str, list[StoredRun]] = {}
    token: str | None = None
    while True:
        page = client.search_runs([experiment], max_results=500, page_token=token)
        for run in page:
            if key := run.data.tags.get("dgmbench.run"):
                found.setdefault(key, []).append(run)
        token = page.token
        if not token:
            return found


def _sync_run(
    client: MlflowClient,
    experiment: str,
    entry: _Entry,
    stored: Sequence[StoredRun],
    report: StoreReport,
) -> None:
    chosen = _matching(entry, stored)
    if chosen is None:
        chosen = _create(client, experiment, entry)
        _log(client, chosen, entry)
        report.created += 1
    elif chosen.data.tags.get("dgmbench.content") == entry.content_hash:
        report.untouched += 1
    elif "dgmbench.content" not in chosen.data.tags:
        _log(client, chosen, entry)
        report.completed += 1
    else:
        _log(client, chosen, entry, at=int(time.time() * 1000))
        report.updated += 1
    if chosen.data.tags.get("dgmbench.superseded") == "true":
        client.set_tag(chosen.info.run_id, "dgmbench.superseded", "false")
    report.superseded += _supersede(client, [r for r in stored if r.info.run_id != chosen.info.run_id])


def _matching(entry: _Entry, stored: Sequence[StoredRun]) -> StoredRun | None:
    """The stored run of the same training, or None.

    A finished run that holds a metric which the results no longer have does not match: MLflow cannot
    take a metric back, and a number that nothing stands behind must not stay in the current run.
    """
    identity = {name: _tags(entry)[name] for name in ("dgmbench.fingerprint", "dgmbench.history")}
    same = [run for run in stored if identity.items() <= run.data.tags.items()]
    names = final_metrics(entry.results).keys()
    same = [run for run in same if not {n for n in run.data.metrics if "/" not in n} - names]
    exact = [run for run in same if run.data.tags.get("dgmbench.content") == entry.content_hash]
    return next(iter(exact or same), None)


def _create(client: MlflowClient, experiment: str, entry: _Entry) -> StoredRun:
    """A run with all its identity in one call, so that an interruption leaves a run that is found again.

    It ended when its description was written and started as much earlier as training took.
    """
    path = entry.run.directory / f"run-{entry.run.seed}.json"
    start = int((path.stat().st_mtime - entry.seconds) * 1000)
    name = f"{entry.run.model} seed {entry.run.seed}"
    return client.create_run(experiment, start_time=start, tags=_tags(entry), run_name=name)


def _log(client: MlflowClient, stored: StoredRun, entry: _Entry, at: int | None = None) -> None:
    """Params, curves, final metrics (stamped `at`, default the run's end), pictures; the content tag last."""
    from mlflow.entities import Metric, Param, RunTag

    identity, start = stored.info.run_id, int(stored.info.start_time)
    end = start + int(entry.seconds * 1000)
    settings = flatten(entry.run.info.get("settings", {}))
    settings |= flatten(entry.run.info.get("training", {}), "training.")
    listed = [Param(name, value) for name, value in settings.items()]
    metrics = _curve_points(entry.run, start, end)
    metrics += [Metric(name, value, at or end, 0) for name, value in final_metrics(entry.results).items()]
    for first in range(0, len(listed), _PARAMS_PER_BATCH):
        client.log_batch(identity, params=listed[first : first + _PARAMS_PER_BATCH])
    for first in range(0, len(metrics), _METRICS_PER_BATCH):
        client.log_batch(identity, metrics=metrics[first : first + _METRICS_PER_BATCH])
    _log_pictures(client, identity, entry)
    tags = _tags(entry) | {"dgmbench.content": entry.content_hash}
    client.set_terminated(identity, "FAILED" if entry.run.failed else "FINISHED", end)
    client.log_batch(identity, tags=[RunTag(name, value) for name, value in tags.items()])


def _curve_points(run: Run, start: int, end: int) -> list[Metric]:
    """Learning curves as `<split>/<name>` at their own steps, spread evenly over the training time.

    Values that are not finite end a curve: stores disagree on how to keep them.
    """
    from mlflow.entities import Metric

    history = run.history()
    last = max(int(history["step"].max()), 1) if len(history) else 1
    rows = zip(history["step"], history["split"], history["name"], history["value"], strict=True)
    return [
        Metric(f"{split}/{name}", float(value), start + (end - start) * int(step) // last, int(step))
        for step, split, name, value in rows
        if math.isfinite(value)
    ]


def _log_pictures(client: MlflowClient, identity: str, entry: _Entry) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_json(folder / "run.json", entry.run.info)
        if entry.run.view != "tokens":
            _draw_pictures(entry, folder)
        client.log_artifacts(identity, str(folder))


def _draw_pictures(entry: _Entry, folder: Path) -> None:
    run, levels = entry.run, levels_of(entry.manifest, entry.run.view)
    samples = run.samples()
    if samples is not None and len(samples):
        pictures.write_png(pictures.sample_sheet(samples, levels), folder / "samples.png")
    content = load_neighbours(entry.neighbours_root, run)
    if content is not None and len(content["samples"]):
        neighbours.neighbour_figure(run, content, levels, folder / "nearest_neighbours.png")


def _supersede(client: MlflowClient, others: Sequence[StoredRun]) -> int:
    """Tag runs of the same model and seed that are no longer current; they are kept."""
    stale = [run for run in others if run.data.tags.get("dgmbench.superseded") != "true"]
    for run in stale:
        client.set_tag(run.info.run_id, "dgmbench.superseded", "true")
        if run.info.status == "RUNNING":
            client.set_terminated(run.info.run_id, "KILLED", run.info.start_time)
    return len(stale)


# Around MLflow


def _note(reports_dir: Path, dataset: str) -> str:
    """The comparison tables of a data set, as the experiment's description; empty without a report."""
    parts = [
        f"### {dataset}, {view} view\n\n{path.read_text(encoding='utf-8')}"
        for view in VIEWS
        if (path := reports_dir / "tables" / f"{dataset}-{view}.md").exists()
    ]
    text = "\n".join(parts)
    return text if len(text) <= _NOTE_LIMIT else text[: _NOTE_LIMIT - 1] + "…"


def _quiet() -> None:
    """No usage telemetry and no progress chatter; warnings still come through. Before the first import."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    import mlflow  # noqa: F401  (configures its own logging on import)

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Prints a traceback for what is raised as well, and told by us.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


@contextmanager
def _limits(retries: int, seconds: int) -> Iterator[None]:
    """Bound retries and waiting of MLflow's HTTP calls, unless the user has set them."""
    wanted = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": retries, "MLFLOW_HTTP_REQUEST_TIMEOUT": seconds}
    ours = [name for name in wanted if name not in os.environ]
    os.environ.update({name: str(wanted[name]) for name in ours})
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
