"""Which settings of a GAN are best on validation images: FID in domain features, never on test.

    python benchmarks/gan_settings.py --dataset digits --family gan --objective hinge \
        --try learning_rate=2e-4,5e-4 average=0.999 dropout=0,0.3 --epochs 200 --seeds 0 1

Trains every combination of the values tried, draws as many samples as `--samples`, and prints a table of the
distances to the validation images, best first. Keys are those of the model's settings, or of its training.
The data set is prepared in `--data` if it is not there; its classifier is trained as in the default pipeline.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from dgmbench.data.dataset import Dataset, load_dataset
from dgmbench.data.pixels import intensity
from dgmbench.data.prepare import prepare
from dgmbench.evaluation.features.classifier import DomainClassifier, train_classifier
from dgmbench.evaluation.quality.frechet import fid
from dgmbench.models.capabilities import CanSample
from dgmbench.models.registry import family_class
from dgmbench.settings import parse_yaml
from dgmbench.settings.budget import TrainingBudget
from dgmbench.training.closed_form import train
from dgmbench.training.examples import examples_by_set
from dgmbench.training.loading import build
from dgmbench.training.outcome import How
from dgmbench.training.seeding import derive_seed, generator_for


def main() -> None:
    """Try every combination and print the table."""
    options = _parser().parse_args()
    torch.set_num_threads(1)
    data = _data(options.dataset, options.data)
    classifier = _classifier(data)
    names = [part.partition("=")[0] for part in options.tried]
    values = [[parse_yaml(v, "--try") for v in part.partition("=")[2].split(",")] for part in options.tried]
    rows = []
    for chosen in itertools.product(*values):
        settings = dict(zip(names, chosen, strict=True))
        found = [_score(options, data, classifier, settings, seed) for seed in options.seeds]
        rows.append((statistics.fmean(value for value, _, _ in found), settings, found))
        print(_row(*rows[-1]), flush=True)
    print(f"\n{options.family} {options.objective} {' '.join(sys.argv[1:])}")
    for row in sorted(rows, key=lambda row: row[0]):
        print(_row(*row))


def _row(mean: float, settings: dict[str, Any], found: list[tuple[float, str, float]]) -> str:
    each = " ".join(f"{value:.2f}" if status == "completed" else status for value, status, _ in found)
    seconds = statistics.fmean(seconds for _, _, seconds in found)
    changed = " ".join(f"{key}={value}" for key, value in settings.items())
    return f"{mean:7.2f}  ({each}; {seconds:.0f} s of CPU each)  {changed}"


def _score(
    options: argparse.Namespace,
    data: Dataset,
    classifier: DomainClassifier,
    chosen: dict[str, Any],
    seed: int,
) -> tuple[float, str, float]:
    """Domain FID to the validation images (infinite for a failed run), the run's status, its CPU seconds."""
    schema = family_class(options.family).Settings
    training = {"epochs": options.epochs, "batch_size": 64, "validate_every": 5}
    training |= {key: value for key, value in chosen.items() if key in TrainingBudget.model_fields}
    own = {key: value for key, value in chosen.items() if key not in TrainingBudget.model_fields}
    block = {"family": options.family, "view": "gray", "objective": options.objective, "training": training}
    settings = schema.model_validate(block | parse_yaml(options.base, "--base") | own)
    model, cpu = build(settings, data.schema, seed), torch.device("cpu")
    started = time.process_time()
    outcome = train(
        model,
        examples_by_set(data, 0, cpu, settings, model.supervision)(seed),
        settings.training,
        seed,
        How(cpu),
    )
    seconds = time.process_time() - started
    if outcome.status != "completed":
        return float("inf"), outcome.status, seconds
    assert isinstance(model, CanSample)
    with torch.no_grad():
        drawn = model.sample(options.samples, generator_for("sample", seed))
    features = classifier.features(model.view.display(model.view.decode(drawn)))
    return fid(features, classifier.features(_pixels(data, "valid"))), outcome.status, seconds


def _pixels(data: Dataset, split: str) -> torch.Tensor:
    return intensity(torch.from_numpy(data.images(split)[:].copy()), data.levels)


def _data(name: str, folder: Path) -> Dataset:
    if not (folder / name / "manifest.json").exists():
        prepare(name, folder / name, seed=0)
    return load_dataset(name, folder)


def _classifier(data: Dataset) -> DomainClassifier:
    """As the default pipeline trains it."""
    labels = {split: torch.from_numpy(data.labels(split)) for split in ("train", "valid")}
    return train_classifier(
        _pixels(data, "train"), labels["train"], _pixels(data, "valid"), labels["valid"],
        classes=int(data.classes or 0), epochs=30, seed=derive_seed("classifier", "gray", 0) % 2**32,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--family", choices=["gan", "dcgan"], required=True)
    parser.add_argument("--objective", default="non_saturating")
    parser.add_argument("--try", dest="tried", nargs="+", default=[], metavar="KEY=VALUE,VALUE")
    parser.add_argument("--base", default="{}", help="YAML of settings that all share")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--samples", type=int, default=2000)
    return parser


if __name__ == "__main__":
    main()
