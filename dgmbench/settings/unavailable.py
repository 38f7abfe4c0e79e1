"""Entries that a data set has not the labels for: said before anything is trained; the others are.

Before a data set is prepared, its classes are known; afterwards its labels are too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dgmbench.data.dataset import load_dataset, read_manifest
from dgmbench.data.datasets import get_spec
from dgmbench.data.labels import IntArray, check_count, unequal
from dgmbench.errors import DataError, LabelsError
from dgmbench.models.registry import family_class
from dgmbench.settings.resolve import model_settings
from dgmbench.settings.schema import Params

# Settings of models with few labels, and the split that each counts labels of.
COUNTS = {"labels": "train", "valid_labels": "valid"}


def unavailable(params: Params, data: Path = Path("data")) -> Iterator[str]:
    """A sentence for each entry and data set that will not be trained."""
    for dataset in params.datasets:
        labels = _prepared(params, dataset, data)
        for name, block in params.models.items():
            if family_class(block["family"]).supervision == "none":
                continue
            try:
                _check(get_spec(dataset).classes, labels, model_settings(params, name))
            except LabelsError as error:
                yield f"{name} will not be trained on {dataset}: {error}"


def _check(classes: int | None, labels: dict[str, IntArray], settings: Any) -> None:
    if classes is None:
        raise LabelsError("it has no labels")
    for key, split in COUNTS.items():
        count = getattr(settings, key, None)
        if split in labels and hasattr(settings, key):
            check_count(labels[split], classes, count, split)
        elif count is not None and count % classes:
            raise LabelsError(f"{count} {key} cannot be had: {unequal(classes)}")


def _prepared(params: Params, dataset: str, data: Path) -> dict[str, IntArray]:
    """The labels of a data set that is prepared as the settings say; nothing for any other."""
    try:
        manifest = read_manifest(dataset, data)
        if (manifest["split_seed"], manifest["limit"]) != (params.data.seed, params.data.limit):
            return {}
        prepared = load_dataset(dataset, data, verify=False)
        found = {split: prepared.labels(split) for split in COUNTS.values()}
    except (DataError, KeyError):
        return {}
    return {split: labels for split, labels in found.items() if labels is not None}
