"""One run in one MLflow store: found by its tags, made, completed or brought up to date."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dgmbench.reporting.run_files import Run
from dgmbench.tracking.logged_model import log_model
from dgmbench.tracking.names import is_final
from dgmbench.tracking.superseded import TAG as SUPERSEDED
from dgmbench.tracking.superseded import is_superseded, supersede
from dgmbench.tracking.wanted import Wanted

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric
    from mlflow.entities import Run as StoredRun
    from mlflow.tracking import MlflowClient

    from dgmbench.tracking.mlflow_store import StoreReport

_METRICS_PER_BATCH, _PARAMS_PER_BATCH = 1000, 100
_PARENT = "mlflow.parentRunId"
# With a pipeline's name: the run's parent in that pipeline, where it is the child of another's.
_SHARED = "dgmbench.parent."


def sync_run(
    client: MlflowClient,
    experiment: str,
    wanted: Wanted,
    stored: Sequence[StoredRun],
    report: StoreReport,
    parent: str = "",
) -> str:
    """Bring a run up to date, count in `report` how, and return its id.

    stored: runs of the same key in the store, newest first. parent: id of its parent there.
    """
    chosen = _matching(wanted, stored)
    if chosen is None:
        chosen = _create(client, experiment, wanted, parent)
        _log(client, chosen, wanted)
        report.created += 1
    elif chosen.data.tags.get("dgmbench.content") == wanted.content:
        report.untouched += 1
    elif "dgmbench.content" not in chosen.data.tags:
        _log(client, chosen, wanted)
        report.completed += 1
    else:
        _log(client, chosen, wanted, at=int(time.time() * 1000))
        report.updated += 1
    identity = str(chosen.info.run_id)
    _set_tags(client, chosen, _standing(wanted, chosen, parent))
    others = [run for run in stored if run.info.run_id != identity and _pipeline(run) == wanted.pipeline]
    report.superseded += supersede(client, others)
    return identity


def _matching(wanted: Wanted, stored: Sequence[StoredRun]) -> StoredRun | None:
    """The stored run of the same training, or None; that of another pipeline only if it has these results.

    A finished run that holds a metric which the results no longer have does not match: MLflow cannot
    take a metric back, and a number that nothing stands behind must not stay in the current run.
    """
    same = [run for run in stored if wanted.identity.items() <= run.data.tags.items()]
    same = [run for run in same if not {n for n in run.data.metrics if is_final(n)} - wanted.metrics.keys()]
    exact = [run for run in same if run.data.tags.get("dgmbench.content") == wanted.content]
    exact.sort(key=lambda run: (_pipeline(run) != wanted.pipeline, is_superseded(run)))
    own = [run for run in same if _pipeline(run) == wanted.pipeline]
    return next(iter(exact or own), None)


def _standing(wanted: Wanted, stored: StoredRun, parent: str) -> dict[str, str]:
    """Tags that say whose a run is now: a current run of another pipeline stays there and names us too."""
    if _pipeline(stored) != wanted.pipeline and not is_superseded(stored):
        return {f"{_SHARED}{wanted.pipeline}": parent}
    return {SUPERSEDED: "false", "pipeline": wanted.pipeline} | ({_PARENT: parent} if parent else {})


def _pipeline(stored: StoredRun) -> str:
    return str(stored.data.tags.get("pipeline", ""))


def _set_tags(client: MlflowClient, stored: StoredRun, tags: Mapping[str, str]) -> None:
    """Those that differ, so that a run which is as it should be is not touched."""
    for name, value in tags.items():
        if stored.data.tags.get(name) != value:
            client.set_tag(stored.info.run_id, name, value)


def _create(client: MlflowClient, experiment: str, wanted: Wanted, parent: str) -> StoredRun:
    """A run with all its identity in one call, so that an interruption leaves a run that is found again."""
    start = int((wanted.end - wanted.seconds) * 1000)
    tags = wanted.all_tags | ({_PARENT: parent} if parent else {})
    return client.create_run(experiment, start_time=start, tags=tags, run_name=wanted.name)


def _log(client: MlflowClient, stored: StoredRun, wanted: Wanted, at: int | None = None) -> None:
    """Params, curves, final metrics (stamped `at`, default the run's end), files; the content tag last."""
    from mlflow.entities import Metric, Param, RunTag

    identity, start = stored.info.run_id, int(stored.info.start_time)
    end = start + int(wanted.seconds * 1000)
    listed = [Param(name, value) for name, value in wanted.params.items()]
    final = [Metric(name, value, at or end, 0) for name, value in wanted.metrics.items()]
    # Pages list metrics in the order in which they came.
    metrics = final + ([] if wanted.run is None else _curve_points(wanted.run, start, end))
    for first in range(0, len(listed), _PARAMS_PER_BATCH):
        client.log_batch(identity, params=listed[first : first + _PARAMS_PER_BATCH])
    for first in range(0, len(metrics), _METRICS_PER_BATCH):
        client.log_batch(identity, metrics=metrics[first : first + _METRICS_PER_BATCH])
    if wanted.manifest is not None:
        client.log_inputs(identity, [_dataset(wanted)])
    with tempfile.TemporaryDirectory() as name:
        wanted.files(Path(name))
        if any(Path(name).iterdir()):
            client.log_artifacts(identity, name)
    if wanted.trained is not None:
        log_model(client, stored, wanted.trained, final)
    client.set_terminated(identity, "FAILED" if wanted.failed else "FINISHED", end)
    own = wanted.all_tags | {"dgmbench.content": wanted.content}
    client.log_batch(identity, tags=[RunTag(name, value) for name, value in own.items()])


def _dataset(wanted: Wanted) -> DatasetInput:
    """The data set as an input, with its licence, sizes and hash."""
    import json

    from mlflow.entities import Dataset, DatasetInput, InputTag

    manifest = wanted.manifest or {}
    source = {name: manifest.get(name) for name in ("homepage", "licence", "raw_files")}
    dataset = Dataset(
        name=wanted.dataset,
        digest=str(manifest["sha256"])[:36],
        source_type="dgmbench",
        source=json.dumps(source),
        profile=json.dumps({"splits": manifest["splits"], "sha256": manifest["sha256"]}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training and evaluation")])


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
