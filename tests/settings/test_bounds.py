"""Numbers that can never work are refused with key, file and valid range."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from dgmbench.errors import SettingsError
from dgmbench.settings import Params, validate

SMALL: dict[str, Any] = {
    "pipeline": "small",
    "datasets": ["digits"],
    "seeds": [0],
    "models": {"ppca": {"family": "ppca", "view": "gray", "latent_dims": [2]}},
}


def settings(key: str, value: Any, **more: Any) -> Params:
    """Small settings with a value at a dotted key, and other sections' changes under it."""
    found = SMALL | copy.deepcopy(more)
    *path, last = key.split(".")
    block = found
    for part in path:
        block = block.setdefault(part, {})
    block[last] = value
    return validate(found, "small.yaml")


def refused(key: str, value: Any, message: str, **more: Any) -> None:
    with pytest.raises(SettingsError, match=rf"^small.yaml: '{key}(\.0)?' is .*: {message}"):
        settings(key, value, **more)


RANGES = [
    "evaluation.parzen.log10_bandwidths",
    "evaluation.ais.log10_variances",
    "controls.parzen_kmeans.log10_bandwidths",
    "models.kde.log10_widths",
]


@pytest.mark.parametrize("key", RANGES)
@pytest.mark.parametrize("pair", [[1000, 2000], [0, -1], [-1, -1], [-11, 0], [0, 10.5]])
def test_a_range_of_powers_ascends_and_stays_within_ten(key: str, pair: list[float]) -> None:
    more = {"models": {"kde": {"family": "kde", "view": "gray", "log10_widths": pair}}}
    message = "it should be two powers of ten that ascend, from -10 to 10$"
    refused(key, pair, message, **(more if key.startswith("models") else {}))


@pytest.mark.parametrize("pair", [[-10, 10], [-1, 0]])
def test_other_ranges_are_fine(pair: list[float]) -> None:
    assert settings("evaluation.parzen.log10_bandwidths", pair).evaluation.parzen.log10_bandwidths[1] >= 0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("training.threads", 1025, ".*less than or equal to 1024"),
        ("training.processes", 1025, ".*less than or equal to 1024"),
        ("sampling.n", 10_000_001, ".*less than or equal to 10000000"),
        ("evaluation.parzen.larger", [10_000_001], ".*less than or equal to 10000000"),
        *(
            (f"evaluation.{name}_samples", 1, ".*greater than or equal to 2")
            for name in ("fid", "kid", "prdc")
        ),
    ],
)
def test_numbers_without_end_or_too_small(key: str, value: Any, message: str) -> None:
    refused(key, value, message)


@pytest.mark.parametrize(
    ("key", "value", "more", "message"),
    [
        ("evaluation.prdc_neighbours", 50, {"evaluation": {"prdc_samples": 50}}, "from 1 to 49, .*prdc_s"),
        ("evaluation.prdc_neighbours", 90, {"evaluation": {"fid_samples": 90}}, "from 1 to 89, .*fid_s"),
        ("evaluation.prdc_neighbours", 70, {"sampling": {"n": 70}}, "from 1 to 69, below .*fid_samples"),
        ("evaluation.copy_cells", 80, {"evaluation": {"neighbour_samples": 80}}, "from 1 to 79, .*neighbour"),
        ("evaluation.copy_cells", 60, {"sampling": {"n": 60}}, "from 1 to 59, below .*neighbour_samples"),
        ("evaluation.copy_cells", 200, {"data": {"limit": 200}}, "from 1 to 199, below data.limit"),
    ],
)  # fmt: skip
def test_counts_that_the_images_cannot_serve(key: str, value: Any, more: Any, message: str) -> None:
    refused(key, value, f"it should be {message}", **more)


def test_few_samples_for_a_default_cost_its_score_alone() -> None:
    assert settings("sampling.n", 2).evaluation.prdc_neighbours == 5


def test_every_bad_count_has_its_line() -> None:
    with pytest.raises(SettingsError) as caught:
        settings("evaluation.copy_cells", 5000, evaluation={"prdc_neighbours": 5000})
    assert [line.split("'")[1] for line in str(caught.value).splitlines()] == [
        "evaluation.prdc_neighbours",
        "evaluation.copy_cells",
    ]
