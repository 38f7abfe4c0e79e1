"""One run in one MLflow store: found by its tags, made, completed or brought up to date."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dgmbench.files import write_json
from dgmbench.reporting.figures import neighbours, pictures
from dgmbench.reporting.run_files import Run, levels_of, load_neighbours
from dgmbench.tracking.entries import Entry, final_metrics, flatten, tags

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.entities import Run as StoredRun
    from mlflow.tracking import MlflowClient

    from dgmbench.tracking.mlflow_store import StoreReport

_METRICS_PER_BATCH, _PARAMS_PER_BATCH = 1000, 100


def sync_run(
    client: MlflowClient,
    experiment: str,
    entry: Entry,
    stored: Sequence[StoredRun],
    report: StoreReport,
) -> None:
    """Bring a run up to date, and count in `report` how. stored: its runs in the store, newest first."""
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


def _matching(entry: Entry, stored: Sequence[StoredRun]) -> StoredRun | None:
    """The stored run of the same training, or None.

    A finished run that holds a metric which the results no longer have does not match: MLflow cannot
    take a metric back, and a number that nothing stands behind must not stay in the current run.
    """
    identity = {name: tags(entry)[name] for name in ("dgmbench.fingerprint", "dgmbench.history")}
    same = [run for run in stored if identity.items() <= run.data.tags.items()]
    names = final_metrics(entry.results).keys()
    same = [run for run in same if not {n for n in run.data.metrics if "/" not in n} - names]
    exact = [run for run in same if run.data.tags.get("dgmbench.content") == entry.content_hash]
    return next(iter(exact or same), None)


def _create(client: MlflowClient, experiment: str, entry: Entry) -> StoredRun:
    """A run with all its identity in one call, so that an interruption leaves a run that is found again.

    It ended when its description was written and started as much earlier as training took.
    """
    path = entry.run.directory / f"run-{entry.run.seed}.json"
    start = int((path.stat().st_mtime - entry.seconds) * 1000)
    name = f"{entry.run.model} seed {entry.run.seed}"
    return client.create_run(experiment, start_time=start, tags=tags(entry), run_name=name)


def _log(client: MlflowClient, stored: StoredRun, entry: Entry, at: int | None = None) -> None:
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
    own = tags(entry) | {"dgmbench.content": entry.content_hash}
    client.set_terminated(identity, "FAILED" if entry.run.failed else "FINISHED", end)
    client.log_batch(identity, tags=[RunTag(name, value) for name, value in own.items()])


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


def _log_pictures(client: MlflowClient, identity: str, entry: Entry) -> None:
    run = entry.run
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_json(folder / "run.json", run.info)
        # Sentences are read in the report, which has their vocabulary.
        if run.view != "tokens":
            _draw_images(run, entry, folder)
        client.log_artifacts(identity, str(folder))


def _draw_images(run: Run, entry: Entry, folder: Path) -> None:
    levels, samples = levels_of(entry.manifest, run.view), run.samples()
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
