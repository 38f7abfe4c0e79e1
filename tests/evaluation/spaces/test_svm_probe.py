"""The L2-SVM on features whose classes can and cannot be separated."""

from __future__ import annotations

import numpy as np
import pytest

from dgmbench.evaluation.spaces.svm_probe import l2_svm


def features(n: int, gap: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    centres = gap * np.eye(3, 6)
    return centres[labels] + rng.normal(size=(n, 6)), labels


def test_classes_that_lie_apart_are_told_apart() -> None:
    sets = [features(n, 12.0, seed) for seed, n in enumerate((60, 90, 120))]
    found = l2_svm(sets[0], sets[1], sets[2], seed=0)
    assert found.accuracy > 99 and found.n == 120


def test_noise_is_guessed() -> None:
    sets = [features(n, 0.0, seed) for seed, n in enumerate((60, 90, 600))]
    assert l2_svm(sets[0], sets[1], sets[2], seed=0).accuracy == pytest.approx(33, abs=8)


def test_units_of_the_features_do_not_matter() -> None:
    sets = [features(n, 2.0, seed) for seed, n in enumerate((60, 90, 300))]
    scaled = [(1000 * x, y) for x, y in sets]
    one, other = l2_svm(sets[0], sets[1], sets[2], seed=0), l2_svm(scaled[0], scaled[1], scaled[2], seed=0)
    assert one.accuracy == pytest.approx(other.accuracy, abs=0.7) and one.C == other.C


def test_the_strength_is_chosen_on_validation_images() -> None:
    train, valid, test = (features(n, 1.5, seed) for seed, n in enumerate((30, 300, 300)))
    chosen = l2_svm(train, valid, test, seed=0)
    scores = {
        C: l2_svm(train, valid, valid, seed=0, grid=[C]).accuracy for C in (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    }
    assert max(scores, key=lambda C: (scores[C], -C)) == chosen.C
