"""The domain classifier of a data set: one per view, trained once, its test accuracy on record."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from dgmbench.data.dataset import Dataset, load_dataset
from dgmbench.data.schema import ImageTarget
from dgmbench.data.view import View
from dgmbench.data.views import view_of
from dgmbench.errors import CheckpointError
from dgmbench.evaluation.features.classifier import DomainClassifier, train_classifier
from dgmbench.files import read_object, sha256_file, write_json
from dgmbench.results import Record, write_records
from dgmbench.settings import Params, classifier_views
from dgmbench.statistics import binomial_std_error
from dgmbench.terms import ViewName
from dgmbench.training.checkpoints import load_tensors
from dgmbench.training.devices import device_name, set_up
from dgmbench.training.loading import RUNS
from dgmbench.training.runs import DATA, write_weights
from dgmbench.training.seeding import derive_seed

NAME = "classifier"


def train_classifiers(params: Params, dataset: str, results: Path = Path("results")) -> Path:
    """Train a classifier for every view in use; write ``runs/<dataset>/classifier`` and its accuracy.

    A data set without labels has none: `info.json` then says so, and metrics that need one are left out.
    """
    device = set_up(params.training)
    data = load_dataset(dataset, DATA)
    folder = RUNS / dataset / NAME
    folder.mkdir(parents=True, exist_ok=True)
    views = classifier_views(params) if data.classes is not None else []
    if not views:
        print(f"{dataset} has no labels, hence no domain classifier, domain FID or probe", file=sys.stderr)
    records = [_train_view(params, data, view, device) for view in views]
    target = data.schema.target
    image_shape = list(target.shape) if isinstance(target, ImageTarget) else None
    shape = {"image_shape": image_shape, "classes": data.classes}
    weights = {view: sha256_file(weights_file(dataset, view)) for view in views}
    write_json(folder / "info.json", shape | {"weights_sha256": weights})
    (results / dataset / NAME).mkdir(parents=True, exist_ok=True)
    write_records(results / dataset / NAME / "results.csv", records)
    return folder


def weights_file(dataset: str, view: str) -> Path:
    """Where the weights of a data set's classifier of a view are kept."""
    return RUNS / dataset / NAME / f"weights-{view}.pt"


def _train_view(params: Params, data: Dataset, name: ViewName, device: torch.device) -> Record:
    started = time.monotonic()
    view = view_of(name, data.schema)
    labels = {split: torch.from_numpy(data.labels(split)) for split in ("train", "valid", "test")}
    print(f"train {data.name} classifier, {name} view", file=sys.stderr)
    classifier = train_classifier(
        torch.from_numpy(data.images("train")),
        labels["train"],
        _shown(data, view, "valid"),
        labels["valid"],
        classes=int(data.classes or 0),
        epochs=params.classifier.epochs,
        seed=derive_seed("classifier", name, params.classifier.seed) % 2**32,
        device=device,
        batch_transform=lambda images, generator: view.display(view.observe(images, generator)),
    )
    write_weights(weights_file(data.name, name), classifier)
    accuracy = classifier.accuracy(_shown(data, view, "test"), labels["test"])
    n = len(labels["test"])
    error = binomial_std_error(accuracy, n)
    return Record(
        dataset=data.name,
        view=name,
        model=NAME,
        seed=params.classifier.seed,
        metric="test_accuracy",
        value=accuracy,
        std_error=error,
        n=n,
        unit="percent",
        kind="exact",
        split="test",
        seconds=time.monotonic() - started,
        device=device_name(device),
    )


def _shown(data: Dataset, view: View, split: str) -> Tensor:
    return view.display(view.fixed(data, split))


def load_classifier(dataset: str, view: str, device: torch.device) -> DomainClassifier | None:
    """The trained classifier of a data set and view; None where the data set has no labels.

    Raises:
        CheckpointError: if it has not been trained, or its weights are not those that were written.
    """
    path = RUNS / dataset / NAME / "info.json"
    again = f"`python -m stages.classifier --dataset {dataset}` trains it"
    if not path.exists():
        raise CheckpointError(f"no classifier in {path.parent}; {again}")
    try:
        info = read_object(path, ("classes", "image_shape", "weights_sha256"))
        if info["classes"] is None:
            return None
        expected = dict(info["weights_sha256"]).get(view)
        classifier = DomainClassifier(tuple(info["image_shape"]), info["classes"])
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} describes no classifier ({error}); {again}") from error
    if expected is None:
        raise CheckpointError(f"{path.parent} has no classifier of the {view} view; {again}")
    weights = weights_file(dataset, view)
    found = sha256_file(weights) if weights.exists() else "no file"
    if found != expected:
        raise CheckpointError(f"{weights} is damaged: expected SHA-256 {expected}, found {found}; {again}")
    try:
        classifier.load_state_dict(load_tensors(weights, weights))
    except RuntimeError as error:
        raise CheckpointError(f"{weights} does not fit {path} ({error}); {again}") from error
    return classifier.to(device).eval()
