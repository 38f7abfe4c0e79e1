from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from asking import BYTES, SHAPE
from PIL import Image

from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.files import sha256_file, write_json
from dgmbench.training.runs import write_weights


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an untrained classifier of digits in it, and no data yet."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "digits" / "classifier"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = DomainClassifier(SHAPE, 10)
    folder.mkdir(parents=True)
    write_weights(folder / "weights-gray.pt", classifier)
    hashes = {"gray": sha256_file(folder / "weights-gray.pt")}
    write_json(folder / "info.json", {"image_shape": SHAPE, "classes": 10, "weights_sha256": hashes})
    np.save(tmp_path / "samples.npy", BYTES)
    (tmp_path / "pictures").mkdir()
    for i, image in enumerate(BYTES):
        Image.fromarray(image[0]).save(tmp_path / "pictures" / f"{i:03}.png")
    return tmp_path
