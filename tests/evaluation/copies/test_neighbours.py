"""The distance ratio on planted copies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from dgmbench.evaluation.copies.neighbours import mean_ratio, nn_distance_ratio


def images(n: int, seed: int, width: int = 48) -> Tensor:
    return torch.rand(n, width, generator=torch.Generator().manual_seed(seed))


def brute_force(queries: Tensor, references: Tensor) -> tuple[np.ndarray, np.ndarray]:
    difference = queries.double().numpy()[:, None] - references.double().numpy()[None]
    distances = np.sqrt((difference**2).sum(2))
    return distances.min(1), distances.argmin(1)


def test_copies_have_ratio_zero_and_fresh_images_ratio_one() -> None:
    train, heldout = images(400, 0), images(200, 1)
    copies = nn_distance_ratio(train[:150], heldout, train)
    assert copies.ratio == 0.0 and torch.equal(copies.generated_indices, torch.arange(150))
    fresh = nn_distance_ratio(images(200, 2), heldout, train)
    assert abs(fresh.ratio - 1) < 4 * fresh.std_error < 0.2
    noisy = nn_distance_ratio(train[:150] + 0.1 * images(150, 3), heldout, train)
    assert 0 < noisy.ratio < 0.5


def test_the_report_holds_both_sets_of_distances() -> None:
    train, heldout, generated = images(50, 0), images(20, 1), images(30, 2)
    report = nn_distance_ratio(generated, heldout, train)
    ours, theirs = brute_force(generated, train), brute_force(heldout, train)
    assert report.ratio == pytest.approx(np.mean(ours[0]) / np.mean(theirs[0]))
    np.testing.assert_array_equal(report.heldout_indices, theirs[1])


def test_the_error_of_a_ratio_of_means_is_that_of_a_bootstrap() -> None:
    """Distances of binary images: roots of whole numbers, whose medians would hardly ever differ."""
    rng = np.random.default_rng(0)
    ours, theirs = (np.sqrt(rng.binomial(64, share, n)) for share, n in ((0.08, 500), (0.06, 300)))
    ratio, error = mean_ratio(torch.from_numpy(ours), torch.from_numpy(theirs))
    assert ratio == pytest.approx(ours.mean() / theirs.mean())
    drawn = [rng.choice(ours, len(ours)).mean() / rng.choice(theirs, len(theirs)).mean() for _ in range(4000)]
    assert error == pytest.approx(np.std(drawn), rel=0.05)
    assert mean_ratio(torch.ones(1), torch.ones(3))[1] is None


def test_unfit_inputs_are_refused() -> None:
    train = images(10, 0)
    with pytest.raises(ValueError, match="no scale"):
        nn_distance_ratio(images(5, 1), train, train)
