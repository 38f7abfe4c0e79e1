"""What a reader must know before trusting the tables, as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dgmbench.reporting.page.facts import DIRTY
from dgmbench.reporting.run_files import Run


def warnings(
    params: Mapping[str, Any], runs: Sequence[Run], manifests: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """What a reader must know before trusting the tables, as sentences."""
    said = [
        f"{run.model} seed {run.seed} on {run.dataset} {run.info['status']}: "
        f"{run.info.get('reason') or 'no reason'}."
        for run in runs
        if run.failed
    ]
    said += _missing(params, runs)
    if len(params["seeds"]) < 2:
        said.append("One seed per model: without an interval, a difference may be retraining noise.")
    for name, what in (("device", "devices"), ("commit", "commits")):
        values = {str(run.info.get(name)) for run in runs}
        if len(values) > 1:
            said.append(f"The runs come from different {what}: {', '.join(sorted(values))}.")
    if runs and all(run.info.get("commit") is None for run in runs):
        said.append("The commit of the runs is not known (trained outside a git checkout).")
    if any(str(run.info.get("commit")).endswith(DIRTY) for run in runs):
        said.append(
            "Some runs were trained with uncommitted changes: their commit does not hold all the code."
        )
    said += _data_warnings(runs, manifests)
    return said


def not_measured(left_out: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each metric that could not be measured, with the models and seeds, and why."""
    seeds: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for each in left_out:
        models = seeds.setdefault((each["dataset"], each["metric"], each["reason"]), {})
        models.setdefault(each["model"], []).append(str(each["seed"]))
    return [
        f"{metric} on {dataset} left out for "
        + ", ".join(f"{model} (seed {', '.join(own)})" for model, own in models.items())
        + f": {reason.rstrip('.')}."
        for (dataset, metric, reason), models in seeds.items()
    ]


def _missing(params: Mapping[str, Any], runs: Sequence[Run]) -> list[str]:
    there = {(run.dataset, run.model, run.seed) for run in runs}
    wanted = [(d, m, s) for d in params["datasets"] for m in params["models"] for s in params["seeds"]]
    absent = [f"{model} seed {seed} on {dataset}" for dataset, model, seed in wanted
              if (dataset, model, seed) not in there]  # fmt: skip
    return [f"Runs are missing: {', '.join(absent)}."] if absent else []


def _data_warnings(runs: Sequence[Run], manifests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    said = []
    for name, manifest in manifests.items():
        stale = [r for r in runs if r.dataset == name and r.info.get("data_sha256") != manifest["sha256"]]
        if stale:
            which = ", ".join(f"{run.model} seed {run.seed}" for run in stale)
            said.append(f"Trained on other {name} data than is now in data/: {which}.")
        if manifest.get("duplicates_across_splits"):
            count = manifest["duplicates_across_splits"]
            said.append(f"{count} images of {name} occur in more than one split.")
    return said
