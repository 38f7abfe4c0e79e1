"""The linear probe on features whose separability is known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dgmbench.evaluation.spaces.linear_probe import C_GRID, linear_probe
from dgmbench.evaluation.spaces.probe_sets import ProbeSet

Split = tuple[np.ndarray, np.ndarray]


def blobs(n: int, seed: int, spread: float = 0.3) -> Split:
    """Four classes at the corners of a square, beside three features of pure noise and a constant."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=n)
    corners = np.stack([labels % 2, labels // 2], 1) * 2.0 - 1
    signal = corners + spread * rng.standard_normal((n, 2))
    return np.hstack([signal, rng.standard_normal((n, 3)), np.ones((n, 1))]).astype(np.float32), labels


def sets(spread: float = 0.3, scale: float = 1.0) -> ProbeSet:
    parts = [blobs(n, i, spread) for i, n in enumerate((40, 40, 300))]
    pool = blobs(400, 9, spread)[0]
    return ProbeSet.standardised(
        pool * scale + scale, *[(features * scale + scale, labels) for features, labels in parts]
    )


def error(spread: float, scale: float = 1.0) -> float:
    given = sets(spread, scale)
    return 100 * float(np.mean(linear_probe(given).predictions != given.test[1]))


def test_separable_features_are_read_almost_perfectly_and_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert error(0.2) < 3
    assert linear_probe(sets()).choice in C_GRID


def test_features_of_noise_are_read_at_chance() -> None:
    assert error(1000.0) == pytest.approx(75, abs=10)


def test_the_scale_of_the_features_does_not_matter() -> None:
    assert error(0.8, 1000.0) == error(0.8)


def test_the_penalty_is_the_best_of_the_grid_on_validation_images() -> None:
    given = sets(0.8)
    found = linear_probe(given)
    errors = {c: linear_probe(given, [c]).valid_error for c in C_GRID}
    assert found.valid_error == min(errors.values())
    assert found.choice == min(c for c in C_GRID if errors[c] == found.valid_error)
