"""Logging the trained model of a run, once: that of each entry's first seed that finished."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dgmbench.reporting.run_files import Run
from dgmbench.tracking.entries import flatten
from dgmbench.tracking.saved_model import save_model

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Metric
    from mlflow.entities import Run as StoredRun
    from mlflow.tracking import MlflowClient

# Larger ones (a nearest neighbour holds its training images) stay in runs/, where `load_run` finds them.
LARGEST_BYTES = 64 * 2**20
_TAG = "dgmbench.weights"


def log_model(client: MlflowClient, stored: StoredRun, run: Run, metrics: Sequence[Metric]) -> None:
    """Log a run's model with its headline metrics, unless it is there; half a one is made anew."""
    weights = run.directory / f"weights-{run.seed}.pt"
    if not weights.exists() or weights.stat().st_size > LARGEST_BYTES:
        return
    digest = str(run.info.get("weights_sha256"))
    for found in _models_of(client, stored):
        if found.tags.get(_TAG) == digest and str(found.status) == "READY":
            return
        client.delete_logged_model(found.model_id)
    _log(client, stored, run, weights, digest, metrics)


def _models_of(client: MlflowClient, stored: StoredRun) -> list[LoggedModel]:
    where = f"source_run_id = '{stored.info.run_id}'"
    return list(client.search_logged_models([stored.info.experiment_id], where))


def _log(
    client: MlflowClient, stored: StoredRun, run: Run, weights: Path, digest: str, metrics: Sequence[Metric]
) -> None:
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric
    from mlflow.models import Model

    identity, name = stored.info.run_id, run.model.replace("/", "-")
    model = client.create_logged_model(
        stored.info.experiment_id,
        name=name,
        source_run_id=identity,
        tags={_TAG: digest, "seed": str(run.seed), "view": run.view},
        params=flatten(run.info.get("settings", {})),
        model_type=str(run.info.get("settings", {}).get("family", "")),
    )
    with tempfile.TemporaryDirectory() as folder:
        description = Model(
            artifact_path=model.artifact_location,
            run_id=identity,
            model_uuid=model.model_id,
            model_id=model.model_id,
        )
        save_model(run.info, weights, Path(folder), description)
        client.log_model_artifacts(model.model_id, folder)
    own = [
        Metric(m.key, m.value, m.timestamp, m.step, model_id=model.model_id, run_id=identity)
        for m in metrics
        if "/" not in m.key
    ]
    client.log_batch(identity, metrics=own)
    client.log_outputs(identity, [LoggedModelOutput(model.model_id, step=0)])
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
