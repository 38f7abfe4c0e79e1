"""The nearest-neighbour probe against a search by hand."""

from __future__ import annotations

import numpy as np

from dgmbench.evaluation.spaces.knn_probe import NEIGHBOURS, knn_probe
from dgmbench.evaluation.spaces.probe_sets import ProbeSet

Split = tuple[np.ndarray, np.ndarray]


def split(n: int, seed: int, spread: float = 1.0) -> Split:
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    return 2 * np.eye(3)[labels] + spread * rng.standard_normal((n, 3)), labels


def by_hand(known: Split, features: np.ndarray, k: int) -> np.ndarray:
    """The class of most votes; of those with equally many, the nearest neighbour's."""
    answers = []
    for row in features:
        order = sorted(range(len(known[0])), key=lambda i: float(np.square(known[0][i] - row).sum()))
        near = [int(known[1][i]) for i in order[:k]]
        most = max(near.count(label) for label in near)
        answers.append(next(label for label in near if near.count(label) == most))
    return np.array(answers)


def test_it_is_the_majority_of_the_nearest_with_the_best_k_on_validation() -> None:
    sets = ProbeSet(split(40, 0), split(60, 1), split(100, 2))
    errors = {k: np.mean(by_hand(sets.train, sets.valid[0], k) != sets.valid[1]) for k in NEIGHBOURS}
    best = min(NEIGHBOURS, key=lambda k: (errors[k], k))
    found = knn_probe(sets)
    assert found.choice == best and np.isclose(found.valid_error, 100 * errors[best])
    np.testing.assert_array_equal(found.predictions, by_hand(sets.train, sets.test[0], best))


def test_no_more_neighbours_vote_than_there_are_labels() -> None:
    sets = ProbeSet(split(4, 0), split(20, 1), split(30, 2))
    assert knn_probe(sets).choice <= 4
    assert knn_probe(sets, [9, 12]).choice == 4.0


def test_of_images_alike_the_first_decides() -> None:
    same = np.zeros((4, 2)), np.array([2, 0, 1, 0])
    sets = ProbeSet(same, (np.zeros((1, 2)), np.array([2])), same)
    assert knn_probe(sets, [1]).predictions.tolist() == [2] * 4
