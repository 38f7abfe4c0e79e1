"""Histograms of classes: their distance by hand, its error, and that a lost class is what it notices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dgmbench.evaluation.features.classifier import FEATURES, DomainClassifier
from dgmbench.evaluation.quality.class_shares import (
    class_histogram_scores,
    histogram_distance,
    histogram_std_error,
)


def corner_classifier() -> DomainClassifier:
    """Takes features for class c that are largest at place c."""
    classifier = DomainClassifier((1, 8, 8), 10).eval()
    with torch.no_grad():
        classifier.logits.weight.copy_(torch.eye(10, FEATURES))
        classifier.logits.bias.zero_()
    return classifier


def features_of(*counts: int) -> torch.Tensor:
    classes = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return torch.nn.functional.one_hot(classes, FEATURES).float()


def test_the_distance_by_hand() -> None:
    assert histogram_distance(np.array([1, 1, 2]), np.array([2, 2, 4])) == 0.0
    assert histogram_distance(np.array([5, 0]), np.array([0, 3])) == 1.0
    assert histogram_distance(np.array([1, 3]), np.array([3, 1])) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="histograms of 0 and 3 images"):
        histogram_distance(np.array([0, 0]), np.array([1, 2]))
    with pytest.raises(ValueError, match="2 and 3 classes"):
        histogram_distance(np.array([1, 1]), np.array([1, 1, 1]))


def test_a_lost_class_costs_its_share_and_the_floor_is_that_of_training_images() -> None:
    real, lost, train = features_of(*[20] * 10), features_of(0, *[20] * 9), features_of(25, *[19] * 9)
    distance, floor = class_histogram_scores(corner_classifier(), lost, real, train, 0)
    assert (distance.metric, distance.n) == ("class_histogram_distance", 180)
    assert distance.value == pytest.approx(0.1) and floor.value == pytest.approx(25 / 196 - 0.1)
    assert distance.arrays["generated"].tolist() == [0, *[20] * 9]
    assert distance.arrays["real"].tolist() == [20] * 10
    same, _ = class_histogram_scores(corner_classifier(), real.flip(0), real, train, 0)
    assert same.value == 0.0 and floor.n == 196


def test_the_standard_error_is_the_spread_over_samples() -> None:
    rng, shares = np.random.default_rng(0), ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5])
    sets = [tuple(rng.multinomial(200, p) for p in shares) for _ in range(300)]
    spread = np.std([histogram_distance(*pair) for pair in sets], ddof=1)
    errors = [histogram_std_error(*pair, np.random.default_rng(i)) for i, pair in enumerate(sets[:20])]
    assert np.mean(errors) == pytest.approx(spread, rel=0.2)
