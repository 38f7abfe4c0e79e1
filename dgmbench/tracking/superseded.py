"""Runs that are no longer current: kept, tagged, and left out of the view that opens.

A run of an entry or a seed belongs to one pipeline, in its tag `pipeline`, and only that pipeline supersedes
it: by a newer run of the same key, or because the entry or seed left its settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dgmbench.tracking.entries import entry_key, seed_key

if TYPE_CHECKING:
    from mlflow.entities import Run as StoredRun
    from mlflow.tracking import MlflowClient

TAG = "dgmbench.superseded"


@dataclass(frozen=True)
class Scope:
    """A pipeline's name, and the keys of all that its settings name, whether or not it has run yet."""

    pipeline: str
    keys: frozenset[str]

    def departed(self, stored: Mapping[str, Sequence[StoredRun]]) -> list[StoredRun]:
        """The pipeline's entries and seeds, of those stored by key, that its settings no longer name."""
        others = [run for key, runs in stored.items() if key not in self.keys for run in runs]
        own = [run for run in others if run.data.tags.get("pipeline") == self.pipeline]
        return [run for run in own if run.data.tags.get("level") in ("model", "seed")]


def scope_of(params: Mapping[str, Any]) -> Scope:
    """What the settings of a pipeline name."""
    name = str(params["pipeline"])
    entries = [(dataset, model) for dataset in params["datasets"] for model in params["models"]]
    keys = [entry_key(name, *entry) for entry in entries]
    keys += [seed_key(*entry, seed) for entry in entries for seed in params["seeds"]]
    return Scope(name, frozenset(keys))


def is_superseded(run: StoredRun) -> bool:
    """Whether a stored run is tagged so."""
    return bool(run.data.tags.get(TAG) == "true")


def supersede(client: MlflowClient, runs: Iterable[StoredRun]) -> int:
    """Tag runs that are no longer current; returns how many were."""
    stale = [run for run in runs if not is_superseded(run)]
    for run in stale:
        client.set_tag(run.info.run_id, TAG, "true")
        if run.info.status == "RUNNING":
            client.set_terminated(run.info.run_id, "KILLED", run.info.start_time)
    return len(stale)
