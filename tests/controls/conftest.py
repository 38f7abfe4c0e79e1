"""Real digits prepared as the pipeline does, a classifier of them, and made-up data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dgmbench.data.dataset import Dataset, load_dataset
from dgmbench.data.pixels import intensity
from dgmbench.data.prepare import prepare
from dgmbench.data.schema import image_schema
from dgmbench.evaluation.features.classifier import DomainClassifier, train_classifier


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """1197/300/300 digits of 17 levels."""
    root = tmp_path_factory.mktemp("data")
    prepare("digits", root / "digits", seed=0)
    return load_dataset("digits", root)


@pytest.fixture(scope="session")
def classifier(digits: Dataset) -> DomainClassifier:
    """Of the gray digits, trained for a moment."""
    pixels, labels = {}, {}
    for split in ("train", "valid"):
        pixels[split] = intensity(torch.from_numpy(digits.images(split)), digits.levels)
        labels[split] = torch.from_numpy(digits.labels(split))
    return train_classifier(
        pixels["train"], labels["train"], pixels["valid"], labels["valid"], classes=10, epochs=4, seed=0
    )


@pytest.fixture
def made_up(tmp_path: Path) -> Callable[..., Dataset]:
    """Write a data set without labels from uint8 [n, C, H, W] arrays by split."""

    def write(levels: int, **splits: np.ndarray) -> Dataset:
        for split, images in splits.items():
            np.save(tmp_path / f"{split}.npy", images.astype(np.uint8))
        channels, height, width = splits["train"].shape[1:]
        manifest = {
            "schema": image_schema((channels, height, width), levels).to_json(),
            "splits": {split: len(images) for split, images in splits.items()},
        }
        return Dataset("made-up", tmp_path, manifest)

    return write
