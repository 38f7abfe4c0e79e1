"""Every metric on every run of a model entry.

A metric is a function from a `Subject` to records; it asks what the model can do and yields nothing where
the question does not apply. Adding one is a function here and its name in `METRICS`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dgmbench.data.dataset import load_dataset
from dgmbench.errors import DataError
from dgmbench.evaluation.arrays import save_arrays
from dgmbench.evaluation.copies.run_copies import memorisation, memorisation_domain
from dgmbench.evaluation.features.domain_classifier import load_classifier
from dgmbench.evaluation.features.feature_spaces import FeatureSpace
from dgmbench.evaluation.likelihood.run_likelihoods import annealed, bounds, exact, parzen, store_folder
from dgmbench.evaluation.pictures.completions import completions
from dgmbench.evaluation.pictures.generator_pictures import generator_pictures
from dgmbench.evaluation.pictures.latent_pictures import pictures
from dgmbench.evaluation.quality.class_coverage import coverage_of_classes
from dgmbench.evaluation.quality.class_shares import class_histogram
from dgmbench.evaluation.quality.run_quality import diversity, domain_quality, inception_quality
from dgmbench.evaluation.quality.saturation import saturation
from dgmbench.evaluation.quality.scores import wanted_inception
from dgmbench.evaluation.quality.sharpness import sharpness
from dgmbench.evaluation.spaces.latents import latents
from dgmbench.evaluation.spaces.probe import linear_probe
from dgmbench.evaluation.spaces.svm_probe import svm_probes
from dgmbench.evaluation.subject import LeftOut, Subject, left_out_lines
from dgmbench.files import write_json
from dgmbench.models.capabilities import CanEncode
from dgmbench.results import Record, write_records
from dgmbench.settings import Params, mirror_of
from dgmbench.training.devices import device_name, processes, set_up
from dgmbench.training.loading import open_run, run_info
from dgmbench.training.runs import DATA
from dgmbench.training.seeding import derive_seed
from dgmbench.training.workers import for_each

RESULTS = Path("results")
# Samples kept of each further way of sampling, for its picture.
SHOWN = 36

# What could not be measured and why, `LeftOut` as JSON objects; the report shows it.
LEFT_OUT = "left-out.json"

Metric = Callable[[Subject, Path], Iterator[Record]]


@dataclass(frozen=True)
class Evaluated:
    """What came of one run."""

    records: list[Record]
    left_out: list[LeftOut]


def probes(subject: Subject, folder: Path) -> Iterator[Record]:
    """Test accuracy of a linear classifier on the model's features, trained with few labels.

    Which training and validation images are labelled is drawn by the data seed.
    """
    labels = {split: subject.data.labels(split) for split in ("train", "valid", "test")}
    if not isinstance(subject.run.model, CanEncode) or any(value is None for value in labels.values()):
        return
    pool = subject.settings.probe_pool
    limits = {"train": pool, "valid": subject.settings.parzen.valid_points, "test": None}
    features = {split: subject.features(split, limit) for split, limit in limits.items()}
    for count in subject.settings.probe_labels:
        yield _probe(subject, features, {k: np.asarray(v)[: limits[k]] for k, v in labels.items()}, count)


def _probe(
    subject: Subject,
    features: dict[str, np.ndarray[Any, Any]],
    labels: dict[str, np.ndarray[Any, Any]],
    count: int,
) -> Record:
    arrays = [array[split] for split in ("train", "valid", "test") for array in (features, labels)]
    draws = range(subject.settings.probe_draws)
    results = [
        linear_probe(*arrays, n_labels=count, seed=derive_seed("probe", subject.data_seed, draw) % 2**32)
        for draw in draws
    ]
    accuracies = np.array([result.accuracy for result in results])
    spread = accuracies.var(ddof=1) / len(accuracies) if len(accuracies) > 1 else 0.0
    # Two independent sources: which images were labelled, and which images are in the test set.
    error = float(np.sqrt(spread + results[0].std_error ** 2))
    return subject.record(
        f"probe_accuracy_{count}",
        float(accuracies.mean()),
        error,
        n=results[0].n,
        unit="percent",
        kind="exact",
        seconds=subject.lap(),
    )


def costs(subject: Subject, folder: Path) -> Iterator[Record]:
    """Parameters, training time and sampling rate."""
    info = subject.run.info
    yield subject.record("parameters", info["parameters"], n=1, unit="1", kind="exact", split="train")
    yield _timing(subject, "training_seconds", info["training_seconds"], info["steps"], "seconds")
    rate = info["n_samples"] / max(info["sampling_seconds"], 1e-9)
    yield _timing(subject, "sampling_rate", rate, info["n_samples"], "images_per_second")


def _timing(subject: Subject, metric: str, value: float, n: int, unit: str) -> Record:
    return subject.record(metric, value, n=n, unit=unit, kind="exact", split="train")


def other_ways(subject: Subject, folder: Path) -> Iterator[Record]:
    """Every further way of sampling, scored as the entry's own; rows of the model `<model>/<way>`."""
    for variant in subject.in_other_ways():
        assert variant.way is not None
        for metric in SAMPLE_METRICS:
            yield from variant.attempt(metric.__name__, partial(metric, variant, folder / variant.way))
        variant.write_points(folder / variant.way)
        drawn = folder / variant.way / f"samples-{subject.run.info['seed']}.npz"
        save_arrays(drawn, samples=variant.samples[:SHOWN].numpy())


# What judges samples alone, whatever drew them.
SAMPLE_METRICS: tuple[Metric, ...] = (
    parzen,
    domain_quality,
    class_histogram,
    coverage_of_classes,
    inception_quality,
    memorisation,
    memorisation_domain,
    diversity,
    sharpness,
)
METRICS: tuple[Metric, ...] = (
    exact,
    bounds,
    annealed,
    *SAMPLE_METRICS,
    probes,
    svm_probes,
    latents,
    pictures,
    generator_pictures,
    completions,
    saturation,
    costs,
    other_ways,
)


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
    """All records of one run; one that diverged or collapsed has one that says so."""
    info = run_info(dataset, model, seed)
    if info["status"] != "completed":
        return Evaluated([_failed(info, device)], [])
    data = load_dataset(dataset, DATA)
    run = open_run(dataset, model, seed, device=device)
    classifier = load_classifier(dataset, run.model.view, device)
    subject = Subject(run, data, params.evaluation, params.data.seed, device, classifier, inception=inception)
    records: list[Record] = []
    for metric in METRICS:
        print(f"evaluate {dataset} {model} seed {seed}: {metric.__name__}", file=sys.stderr)
        subject.lap()
        # Whatever is left out, the regression check misses by name.
        records += subject.attempt(metric.__name__, partial(metric, subject, folder))
    subject.write_points(folder)
    return Evaluated(records, subject.left_out)


def _failed(info: dict[str, Any], device: torch.device) -> Record:
    """Its metric is the run's status: diverged, or collapsed."""
    return Record(
        dataset=info["dataset"],
        view=info["view"],
        model=info["model"],
        seed=info["seed"],
        metric=info["status"],
        value=1.0,
        std_error=None,
        n=1,
        unit="1",
        kind="exact",
        split="train",
        seconds=0.0,
        device=device_name(device),
    )
