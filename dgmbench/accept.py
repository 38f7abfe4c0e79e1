"""Taking over runs that other code trained, where a replay says that the code of today trains them alike.

A run can be taken over if nothing but code changed: its settings, data and the versions of libraries are
those of today. Then a short stretch is replayed (`dgmbench.training.replay`) and compared with what the run
recorded. If all is equal to the bit, the run gets the fingerprint of today's code, and says so in its
description. DVC runs the training stage once more, which finds the run in the store and trains nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dgmbench.errors import DamagedFileError, SettingsError
from dgmbench.files import read_object, write_json
from dgmbench.settings import Params
from dgmbench.store import Store
from dgmbench.training.alone import training_alone
from dgmbench.training.devices import processes
from dgmbench.training.finished import fault_of, keep_run
from dgmbench.training.loading import RUNS
from dgmbench.training.replay import FORM, first_difference
from dgmbench.training.runs import Job
from dgmbench.training.workers import for_each

State = Literal["current", "accepted", "refused", "to train"]


@dataclass(frozen=True)
class Verdict:
    """Whether a run was taken over, and why."""

    run: str
    state: State
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.run}: {self.state}{self.reason and f': {self.reason}'}"


def accept_runs(params: Params, models: Sequence[str] = (), *, dry: bool = False) -> Iterator[Verdict]:
    """Judge every run of the settings, or of some entries, and take over those whose replay is equal.

    dry: change nothing.

    Raises:
        SettingsError: if there is no store, which hands the runs to the training stage.
    """
    store = Store(params.evaluation.store)
    if store.folder is None:
        raise SettingsError(
            "'evaluation.store' is null: `accept` needs a store, which hands runs to `dvc repro`"
        )
    for dataset in params.datasets:
        for model in models or params.models:
            yield from _accept_entry(Job.of(params, dataset, model), store, dry)


def _accept_entry(job: Job, store: Store, dry: bool) -> Iterator[Verdict]:
    folder = RUNS / job.dataset / job.model
    with training_alone(job.dataset, job.model):
        judged = {seed: _judged(job, folder, seed) for seed in job.params.seeds}
        open_seeds = [seed for seed, (verdict, _) in judged.items() if verdict is None]
        found = dict(zip(open_seeds, _replays(job, open_seeds), strict=True))
        for seed, (verdict, info) in judged.items():
            if verdict is None:
                difference = _compared(info["replay"], found[seed])
                verdict = Verdict(_name(job, seed), "refused" if difference else "accepted", difference)
                if not difference and not dry:
                    _take_over(job, store, folder, seed, info)
            yield verdict


def _judged(job: Job, folder: Path, seed: int) -> tuple[Verdict | None, dict[str, Any]]:
    """What can be said of a run without a replay, and its description."""
    name = _name(job, seed)
    try:
        info = read_object(folder / f"run-{seed}.json", ("fingerprint", "sampling", "code_sha256"))
    except FileNotFoundError:
        return Verdict(name, "to train", "there is no run"), {}
    except (OSError, DamagedFileError) as error:
        return Verdict(name, "to train", str(error)), {}
    fault = fault_of(info, folder, seed)
    if fault:
        return Verdict(name, "to train", fault), info
    same_sampling = info["sampling"] == job.params.sampling.model_dump(mode="json")
    if info["fingerprint"] == job.fingerprint(seed) and same_sampling:
        return Verdict(name, "current"), info
    # Equal but for the code: then the fingerprint by the run's own code is the run's.
    if (
        replace(job, code_sha256=info["code_sha256"]).fingerprint(seed) != info["fingerprint"]
        or not same_sampling
    ):
        return Verdict(name, "to train", "settings, data or versions of libraries changed"), info
    if "replay" not in info:
        return Verdict(name, "to train", "it recorded no replay"), info
    return None, info


def _replays(job: Job, seeds: Sequence[int]) -> list[dict[str, Any]]:
    if not seeds:
        return []
    print(f"{job.dataset} {job.model}: replaying seeds {', '.join(map(str, seeds))}", file=sys.stderr)
    examples = job.examples_by_set()
    at_once = processes(job.params.training, job.device)
    what = f"replay {job.dataset} {job.model} seed"
    return for_each(lambda seed: job.replay(examples(seed), seed), seeds, at_once, what)


def _compared(recorded: dict[str, Any], found: dict[str, Any]) -> str:
    """Why a run is not taken over; empty if it is."""
    if recorded.get("form") != FORM:
        return "its replay was recorded in another form"
    failed = recorded.get("error") or found.get("error")
    if failed:
        return f"the short stretch cannot be replayed ({failed})"
    return first_difference(recorded, found) or ""


def _take_over(job: Job, store: Store, folder: Path, seed: int, info: dict[str, Any]) -> None:
    """Give the run the fingerprint of today's code, and hand it to the store."""
    step = {"from_code_sha256": info["code_sha256"], "commit": job.commit}
    changes = {
        "fingerprint": job.fingerprint(seed),
        "code_sha256": job.code_sha256,
        "accepted": [*info.get("accepted", []), step],
    }
    write_json(folder / f"run-{seed}.json", info | changes)
    keep_run(store, folder, seed)


def _name(job: Job, seed: int) -> str:
    return f"{job.dataset} {job.model} seed {seed}"
