"""Training every seed of a model entry, unless the store remembers it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from dgmbench.errors import DamagedFileError, LabelsError
from dgmbench.files import read_object
from dgmbench.settings import Params
from dgmbench.store import Store
from dgmbench.training.alone import CHECKPOINTS, training_alone
from dgmbench.training.devices import processes
from dgmbench.training.finished import bring_back, keep_run, keep_runs
from dgmbench.training.loading import RUNS
from dgmbench.training.runs import Job, leave_out, run_seed
from dgmbench.training.workers import for_each


def train_entry(params: Params, dataset: str, model: str) -> Path:
    """Train every seed of a model entry and write its runs; an interrupted call resumes when called again.

    Seeds that were trained before, of the same settings, data, code and libraries, are not trained again:
    the store of the settings remembers them. Without a store, finished seeds stay in the checkpoint folder
    until all are done, because DVC empties the output folder before it runs the stage again.

    If another process trained the same entry alike while this one waited, its runs stay as they are: DVC may
    be reading them.
    """
    job = Job.of(params, dataset, model)
    folder = RUNS / dataset / model
    with training_alone(dataset, model) as waited:
        if waited and not _left(job, folder) and not _holds_others(job, folder):
            print(
                f"{dataset} {model}: that process trained every seed; nothing is left to do", file=sys.stderr
            )
            return folder
        store = Store(params.evaluation.store)
        keep_runs(store, folder)
        # As DVC does before a stage; without it, files of other seeds or settings would stay.
        shutil.rmtree(folder, ignore_errors=True)
        _train_seeds(job, store, folder, params.seeds)
        # A `dvc repro` that was started meanwhile emptied the folder before it came to wait.
        _train_seeds(job, store, folder, _left(job, folder))
        shutil.rmtree(CHECKPOINTS / dataset / model, ignore_errors=True)
    return folder


def _train_seeds(job: Job, store: Store, folder: Path, seeds: Sequence[int]) -> None:
    name = f"{job.dataset} {job.model}"
    known = bring_back(store, job, seeds, folder)
    if known:
        print(f"{name}: trained before, and kept: seeds {', '.join(map(str, known))}", file=sys.stderr)
    left = [seed for seed in seeds if seed not in known]
    if not left:
        return
    examples = job.examples_by_set()

    def run(seed: int) -> None:
        try:
            run_seed(job, examples(seed), seed, folder)
        except LabelsError as error:
            leave_out(job, seed, folder, error)
        keep_run(store, folder, seed)

    for_each(run, left, processes(job.params.training, job.device), f"train {name} seed")


def _left(job: Job, folder: Path) -> list[int]:
    """Seeds whose run is not in the folder, or is of other settings, data or code."""
    sampling = job.params.sampling.model_dump(mode="json")
    left = []
    for seed in job.params.seeds:
        try:
            info = read_object(folder / f"run-{seed}.json", ("fingerprint", "sampling"))
        except (FileNotFoundError, DamagedFileError):
            info = {}
        if (info.get("fingerprint"), info.get("sampling")) != (job.fingerprint(seed), sampling):
            left.append(seed)
    return left


def _holds_others(job: Job, folder: Path) -> bool:
    """Whether there are runs of seeds that are no longer among the settings."""
    own = {f"run-{seed}.json" for seed in job.params.seeds}
    return any(path.name not in own for path in folder.glob("run-*.json"))
