"""Every measure on every run of a model entry."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from dgmbench.data.dataset import load_dataset
from dgmbench.errors import DataError
from dgmbench.evaluation.arrays import save_arrays
from dgmbench.evaluation.features.domain_classifier import load_classifier
from dgmbench.evaluation.features.feature_spaces import FeatureSpace
from dgmbench.evaluation.left_out import LeftOut, left_out_lines
from dgmbench.evaluation.likelihood.unfinished import store_folder
from dgmbench.evaluation.measure import Measure
from dgmbench.evaluation.quality.scores import wanted_inception
from dgmbench.evaluation.registry import all_measures
from dgmbench.evaluation.remembered import answered, hash_code
from dgmbench.evaluation.subject import Subject
from dgmbench.files import write_json
from dgmbench.models.capabilities import CanPredict
from dgmbench.results import Origin, Record, write_records
from dgmbench.settings import Params, mirror_of
from dgmbench.training.devices import device_name, processes, set_up
from dgmbench.training.loading import open_run, run_info
from dgmbench.training.runs import DATA
from dgmbench.training.workers import for_each

RESULTS = Path("results")
# Samples kept of each further way of sampling, for its picture.
SHOWN = 36

# What could not be measured and why, `LeftOut` as JSON objects; the report shows it.
LEFT_OUT = "left-out.json"


@dataclass(frozen=True)
class Evaluated:
    """The results of one run."""

    records: list[Record]
    left_out: list[LeftOut]


def applicable(subject: Subject) -> list[Measure]:
    """The measures that apply to a run; the test error and the costs where its settings ask for no more."""
    model, schema = subject.run.model, subject.data.schema
    few = subject.run.info["settings"].get("measures") == "classification"
    return [
        each
        for each in all_measures()
        if (not few or each.cheap or CanPredict in each.needs)
        and each.applies_to(schema, subject.view.name, model)
        and (each.samples or subject.way is None)
        and (subject.run.is_first or not each.first_seed)
    ]


def evaluate_entry(params: Params, dataset: str, model: str) -> Path:
    """Evaluate every seed of a model entry and write ``results/<dataset>/<model>/``."""
    folder = RESULTS / dataset / model
    # As DVC does before a stage; without it, files of other seeds would stay.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    device = set_up(params.training)
    left_out: list[LeftOut] = []
    inception = None
    try:
        inception = wanted_inception(params.evaluation.inception, device, mirror_of(params))
    except DataError as error:
        left_out += [LeftOut(model, seed, "Inception features", str(error)) for seed in params.seeds]
    hash_code(params.models[model]["family"])
    found = for_each(
        lambda seed: evaluate_seed(params, dataset, model, seed, folder, device, inception),
        params.seeds,
        processes(params.training, device),
        f"evaluate {dataset} {model} seed",
    )
    write_records(folder / "results.csv", [record for one in found for record in one.records])
    left_out += [each for one in found for each in one.left_out]
    # Once for all seeds, and after the last progress bar.
    for line in left_out_lines(left_out):
        print(f"evaluate {dataset}: {line}", file=sys.stderr)
    write_json(folder / LEFT_OUT, [asdict(each) for each in left_out])
    shutil.rmtree(store_folder(dataset, model), ignore_errors=True)
    return folder


def evaluate_seed(
    params: Params,
    dataset: str,
    model: str,
    seed: int,
    folder: Path,
    device: torch.device,
    inception: FeatureSpace | None = None,
) -> Evaluated:
    """All records of one run; one that failed or was not trained has one that says so."""
    info = run_info(dataset, model, seed)
    if info["status"] != "completed":
        return Evaluated([_failed(info, device)], [])
    data = load_dataset(dataset, DATA)
    run = open_run(dataset, model, seed, device=device)
    classifier = load_classifier(dataset, run.model.view.name, device) if data.classes is not None else None
    subject = Subject(
        data, params.evaluation, params.data.seed, device, classifier, run=run, inception=inception
    )
    records = list(_asked(subject, folder))
    for variant in subject.in_other_ways():
        assert variant.way is not None
        records += _asked(variant, folder / variant.way)
        drawn = folder / variant.way / f"samples-{seed}.npz"
        save_arrays(drawn, samples=variant.samples[:SHOWN].numpy())
    return Evaluated(records, subject.left_out)


def _asked(subject: Subject, folder: Path) -> Iterator[Record]:
    """All records of a run, or of one further way of sampling."""
    for each in applicable(subject):
        named = f"{subject.run.info['dataset']} {subject.name} seed {subject.run.info['seed']}"
        print(f"evaluate {named}: {each.name}", file=sys.stderr)
        # Whatever is left out, the regression check misses by name.
        yield from answered(each, subject, folder)
    subject.write_points(folder)


def _failed(info: dict[str, Any], device: torch.device) -> Record:
    """Its metric is the run's status: diverged, collapsed, or unavailable."""
    status = info["status"]
    origin = Origin(info["dataset"], info["view"], info["model"], info["seed"], device_name(device))
    return origin.record(status, 1.0, n=1, unit="1", kind="exact", split="train")
