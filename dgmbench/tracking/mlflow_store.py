"""Bring MLflow stores up to date with `runs/` and `results/`.

A sync, not a log: it reads what is on disk and adds what a store lacks, so it can be repeated at will,
after an interruption, after `mlflow.db` was deleted, or when every stage came from DVC's cache. An MLflow
run is found again by its tags:

- `dgmbench.run` (data set/model/seed, pipeline/data set/model of a parent, report/pipeline) says what it is
  of;
- `dgmbench.fingerprint` (settings, data, code) and `dgmbench.history` (the hash of its learning curves) say
  of which training; of a parent `dgmbench.trainings` says of which ones;
- `dgmbench.content` is the hash of all that is logged, set last: without it the run is half-logged.

Metrics carry timestamps computed from the run's start, so logging a point again does not double it.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgmbench.errors import TrackingError
from dgmbench.tracking.description import note
from dgmbench.tracking.entries import entries
from dgmbench.tracking.stored_run import sync_run
from dgmbench.tracking.stores import (
    artifacts_follow,
    artifacts_of,
    check_store,
    explained,
    store_errors,
    without_password,
)
from dgmbench.tracking.superseded import Scope, scope_of, supersede
from dgmbench.tracking.views import VIEW_TAGS
from dgmbench.tracking.wanted import Wanted, of_entry, of_report, of_seed

if TYPE_CHECKING:
    from mlflow.entities import Run as StoredRun
    from mlflow.tracking import MlflowClient

LOCAL_URI = "sqlite:///mlflow.db"
_ENVIRONMENT = "MLFLOW_TRACKING_URI"
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

    One experiment per data set (`dgmbench-<dataset>`), one run per model entry with the runs of its seeds as
    children, and one run of the report, in the experiment of the first data set. Raises `TrackingError`
    after all stores were tried, naming each that did not take the runs; what the others took stays.
    """
    _quiet()
    wanted = _wanted(params, runs_root, results_root, Path(reports_dir), data_root)
    notes = {dataset: note(Path(reports_dir), dataset) for dataset in params["datasets"]}
    report, failures = SyncReport(), []
    ordered = sorted(uris or tracking_uris(), key=lambda uri: uri.startswith(("http:", "https:")))
    for uri in dict.fromkeys(ordered):
        try:
            report.stores.append(_sync_store(uri, wanted, notes, scope_of(params)))
        except store_errors() as error:
            failures.append(f"{without_password(uri)}: {explained(uri, error)}")
    if failures:
        raise TrackingError(
            f"MLflow did not take the runs at {'. At '.join(failures)}. No result is lost: everything is in "
            f"{results_root} and {runs_root}, and `python -m stages.track` tries again."
        )
    return report


def _wanted(
    params: Mapping[str, Any], runs_root: Path, results_root: Path, reports_dir: Path, data_root: Path
) -> list[Wanted]:
    """Every run as it should stand, parents before their children."""
    found = []
    for entry in entries(params, runs_root, results_root, data_root):
        found += [of_entry(entry), *(of_seed(entry, seed) for seed in entry.seeds)]
    first = next(iter(params["datasets"]))
    report = of_report(params["pipeline"], first, reports_dir)
    return found if report is None else [*found, report]


# One store


def _sync_store(uri: str, wanted: Sequence[Wanted], notes: Mapping[str, str], scope: Scope) -> StoreReport:
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
            own = [each for each in wanted if each.dataset == dataset]
            _sync_runs(client, experiment, own, report, scope)
    report.seconds = time.monotonic() - began
    return report


def _sync_runs(
    client: MlflowClient, experiment: str, wanted: Sequence[Wanted], report: StoreReport, scope: Scope
) -> None:
    stored = _stored_runs(client, experiment)
    report.superseded += supersede(client, scope.departed(stored))
    identities: dict[str, str] = {}
    for each in wanted:
        parent = identities.get(each.parent, "")
        there = stored.get(each.key, [])
        identities[each.key] = sync_run(client, experiment, each, there, report, parent)


def _experiment(client: MlflowClient, uri: str, dataset: str, note: str) -> str:
    """The experiment's id; made, or restored if it was deleted, with the comparison as its description."""
    name = f"dgmbench-{dataset}"
    found = client.get_experiment_by_name(name)
    if found is None:
        identity = str(client.create_experiment(name, artifacts_of(uri, name)))
    else:
        identity = str(found.experiment_id)
        if artifacts_follow(uri, name, found.artifact_location):
            print(f"{without_password(uri)} has moved: artifacts of {name} are beside it", file=sys.stderr)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(identity)
    # Without the kind the UI takes the experiment for one of language-model traces and hides the metrics.
    tags = {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": note} | VIEW_TAGS
    for tag, value in tags.items():
        if found is None or found.tags.get(tag) != value:
            client.set_experiment_tag(identity, tag, value)
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


# Around MLflow


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
    # Prints a traceback for errors that are also raised and that we report.
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
