"""The linear probe on features whose separability is known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from dgmbench.errors import DataError
from dgmbench.evaluation.spaces import probe
from dgmbench.evaluation.spaces.probe import balanced_subset, linear_probe, validation_subset

Split = tuple[np.ndarray, np.ndarray]


def blobs(n: int, seed: int, spread: float = 0.3) -> Split:
    """Four classes at the corners of a square, beside three features of pure noise and a constant."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=n)
    corners = np.stack([labels % 2, labels // 2], 1) * 2.0 - 1
    signal = corners + spread * rng.standard_normal((n, 2))
    return np.hstack([signal, rng.standard_normal((n, 3)), np.ones((n, 1))]).astype(np.float32), labels


def probed(spread: float = 0.3, n_labels: int = 40, seed: int = 0, scale: float = 1.0) -> probe.ProbeResult:
    parts = [blobs(n, i, spread) for i, n in enumerate((400, 200, 300))]
    arrays = [array for features, labels in parts for array in (features * scale + scale, labels)]
    return linear_probe(*arrays, n_labels=n_labels, seed=seed)


def test_separable_features_are_read_almost_perfectly_and_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = probed()
    assert result.accuracy > 97 and result.n == 300 and result.C in probe.C_GRID
    assert result.std_error == pytest.approx(np.sqrt(result.accuracy * (100 - result.accuracy) / 300))


def test_features_of_noise_are_read_at_chance() -> None:
    result = probed(spread=1000.0)
    assert abs(result.accuracy - 25) < 4 * result.std_error


def test_the_scale_of_the_features_does_not_matter() -> None:
    assert probed(spread=0.8, scale=1000.0) == probed(spread=0.8)


def test_seeds_choose_the_labels_and_repeat() -> None:
    assert probed(spread=0.8, seed=1) == probed(spread=0.8, seed=1)
    assert len({probed(spread=0.8, n_labels=8, seed=seed).accuracy for seed in range(4)}) > 1


def test_only_the_chosen_labels_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    train, labels = blobs(400, 0, 0.8)
    chosen = balanced_subset(labels, 40, seed=0)
    scrambled = (labels + 1) % 4
    scrambled[chosen] = labels[chosen]
    monkeypatch.setattr(
        probe, "balanced_subset", lambda y, *rest: chosen if len(y) == 400 else balanced_subset(y, *rest)
    )
    held_out = (*blobs(200, 1, 0.8), *blobs(300, 2, 0.8))
    first, second = (linear_probe(train, y, *held_out, n_labels=40, seed=0) for y in (labels, scrambled))
    assert first == second


def test_test_data_play_no_part_in_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = probe._accuracy

    def recording(model: object, features: np.ndarray, labels: np.ndarray) -> float:
        seen.append(len(labels))
        return original(model, features, labels)

    monkeypatch.setattr(probe, "_accuracy", recording)
    probed()
    assert seen == [40] * len(probe.C_GRID) + [300]


def test_no_more_validation_labels_are_read_than_training_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    train, held_out, (valid, labels) = blobs(400, 0, 0.8), blobs(300, 2, 0.8), blobs(200, 1, 0.8)
    judging = validation_subset(labels, 40, seed=0)
    scrambled = (labels + 1) % 4
    scrambled[judging] = labels[judging]
    monkeypatch.setattr(probe, "validation_subset", lambda *_: judging)
    first, second = (
        linear_probe(*train, valid, y, *held_out, n_labels=40, seed=0) for y in (labels, scrambled)
    )
    assert first == second


@pytest.mark.parametrize(("wanted", "expected"), [(40, [10] * 4), (90, [20] * 4), (500, [20] * 4)])
def test_validation_labels_are_balanced_and_as_many_as_there_are(wanted: int, expected: list[int]) -> None:
    labels = np.repeat(np.arange(4), [20, 30, 50, 100])
    subset = validation_subset(labels, wanted, seed=0)
    assert np.bincount(labels[subset]).tolist() == expected


def test_the_subset_is_balanced_and_its_remainder_drawn() -> None:
    labels = np.repeat(np.arange(3), 50)
    subset = balanced_subset(labels, 31, seed=0)
    assert sorted(np.bincount(labels[subset])) == [10, 10, 11] and len(set(subset)) == 31
    np.testing.assert_array_equal(subset, balanced_subset(labels, 31, seed=0))
    assert not np.array_equal(subset, balanced_subset(labels, 31, seed=1))


def test_too_few_labels_are_named() -> None:
    labels = np.array([0] * 50 + [1] * 3)
    with pytest.raises(DataError, match="class 1, which has 3; at most 6"):
        balanced_subset(labels, 20, seed=0)
    with pytest.raises(DataError, match="at least 2"):
        balanced_subset(labels, 1, seed=0)
    with pytest.raises(DataError, match="two classes"):
        balanced_subset(np.zeros(9, dtype=int), 4, seed=0)


def test_unfit_features_are_refused() -> None:
    features, labels = blobs(50, 0)
    with pytest.raises(ValueError, match="valid"):
        linear_probe(features, labels, features[:3], labels, features, labels, n_labels=4, seed=0)
    broken = features * np.nan
    with pytest.raises(ValueError, match="test: features hold NaN"):
        linear_probe(features, labels, features, labels, broken, labels, n_labels=4, seed=0)
