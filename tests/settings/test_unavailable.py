"""What is said before training of entries that a data set has not the labels for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dgmbench.data.prepare import prepare
from dgmbench.settings import compose, validate
from dgmbench.settings.unavailable import unavailable

NET = {"family": "convnet", "view": "gray"}


def said(data: Path, models: Any, datasets: tuple[str, ...] = ("digits",), limit: int | None = None) -> list:
    raw = compose("digits") | {"models": models, "datasets": list(datasets), "controls": {}, "orders": []}
    return list(unavailable(validate(raw | {"data": {"limit": limit}}, "params.yaml"), data))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    prepare("digits", folder / "digits", seed=0)
    return folder


def test_counts_that_classes_cannot_share_are_told_of_before_the_data_are_there(tmp_path: Path) -> None:
    models = {f"net_{i}": NET | {"labels": i} for i in (10, 15, 2000)} | {"u": NET | {"valid_labels": 7}}
    assert said(tmp_path, models) == [
        "net_15 will not be trained on digits: 15 labels cannot be had: 10 classes cannot share them equally",
        "u will not be trained on digits: 7 valid_labels cannot be had: 10 classes cannot share them equally",
    ]


def test_counts_that_are_too_large_are_told_of_when_they_are(digits: Path) -> None:
    models = {f"net_{i}": NET | {"labels": i} for i in (1000, 1190, 2000)} | {"all": NET | {"labels": None}}
    one, two = said(digits, models | {"u": NET | {"valid_labels": 290}})
    assert re.match(r"net_1190 will .* class \d has \d+ of the 1197 training examples. Nearest: 1\d\d0$", one)
    assert re.match(r"net_2000 will .* there are 1197 training examples. Nearest: 1\d\d0$", two)
    # Prepared for other settings, they say nothing.
    assert said(digits, models, limit=50) == []


def test_a_data_set_without_labels_refuses_only_what_needs_them(tmp_path: Path) -> None:
    vae = {"family": "vae", "view": "gray"}
    models = {"net": NET, "vae": vae, "cvae": vae | {"family": "conditional_vae", "view": "gray"}}
    assert said(tmp_path, models, ("frey",)) == [
        "net will not be trained on frey: it has no labels",
        "cvae will not be trained on frey: it has no labels",
    ]
