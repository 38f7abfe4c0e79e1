"""The L2-SVM against liblinear, and on features whose classes can and cannot be told apart."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from dgmbench.evaluation.spaces import svm_probe
from dgmbench.evaluation.spaces.probe_sets import ProbeSet
from dgmbench.evaluation.spaces.svm_probe import C_GRID, l2_svm, svm_weights


def features(n: int, gap: float, seed: int, dims: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    centres = gap * np.eye(3, dims)
    return centres[labels] + rng.normal(size=(n, dims)), labels


def sets(gap: float, *sizes: int) -> ProbeSet:
    return ProbeSet(*(features(n, gap, seed) for seed, n in enumerate(sizes)))


def error(given: ProbeSet) -> float:
    return 100 * float(np.mean(l2_svm(given).predictions != given.test[1]))


@pytest.mark.parametrize(("n", "dims"), [(90, 6), (30, 50)])
@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_weights_are_those_of_liblinear(
    n: int, dims: int, strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(svm_probe, "FTOL", 1e-14)
    x, labels = features(n, 1.0, 0, dims)
    signs = np.where(labels[:, None] == np.arange(3), 1.0, -1.0)
    reference = LinearSVC(C=strength, fit_intercept=False, dual=False, tol=1e-10, max_iter=10**5)
    reference.fit(x, labels)
    found = svm_weights(x, signs, strength)
    np.testing.assert_allclose(found, reference.coef_.T, atol=2e-4)
    # From another start it ends at the same place.
    np.testing.assert_allclose(svm_weights(x, signs, strength, found + 0.1), found, atol=2e-4)


def test_the_tolerance_in_use_hardly_changes_a_prediction() -> None:
    for gap in (1.0, 3.0):
        given = sets(gap, 60, 90, 600)
        loose = l2_svm(given)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(svm_probe, "FTOL", 1e-14)
            assert np.mean(l2_svm(given).predictions != loose.predictions) < 0.02


def test_classes_that_lie_apart_are_told_apart() -> None:
    assert error(sets(12.0, 60, 90, 120)) < 1


def test_noise_is_guessed() -> None:
    assert error(sets(0.0, 60, 90, 600)) == pytest.approx(67, abs=8)


def test_the_strength_is_the_best_of_the_grid_on_validation_images() -> None:
    given = sets(1.5, 30, 300, 300)
    found = l2_svm(given)
    assert found.choice in C_GRID
    alone = {c: l2_svm(given, [c]).valid_error for c in C_GRID}
    assert found.valid_error == pytest.approx(min(alone.values()), abs=1.0)
