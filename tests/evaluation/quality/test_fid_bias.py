"""The extrapolated distance against Gaussians whose distance is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from dgmbench.evaluation.quality.fid_bias import fid_curve, rows_needed
from dgmbench.evaluation.quality.frechet import fid


def draws(n: int, width: int, seed: int) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_extrapolation_comes_nearer_to_the_truth_than_any_number_of_samples_there_is(shift: float) -> None:
    truth, plain, extrapolated = 10 * shift**2, [], []
    for seed in range(12):
        generated, real = shift + draws(400, 10, seed), draws(400, 10, 500 + seed)
        plain.append(fid(generated, real) - truth)
        curve = fid_curve(generated, real, np.random.default_rng(seed))
        extrapolated.append(curve.infinity - truth)
    assert np.mean(plain) > 0.1
    assert abs(np.mean(extrapolated)) < 0.35 * np.mean(plain)
    assert abs(np.mean(extrapolated)) < 4 * np.std(extrapolated) / np.sqrt(12)


def test_the_curve_falls_and_ends_at_the_distance_of_all_rows() -> None:
    generated, real = draws(300, 8, 0), draws(300, 8, 1)
    curve = fid_curve(generated, real, np.random.default_rng(0), points=5, repeats=6)
    assert len(curve.sizes) == 5 and curve.sizes[0] == 60 and curve.sizes[-1] == 300
    assert curve.values[-1] == pytest.approx(fid(generated, real), rel=1e-9)
    assert list(curve.values) == sorted(curve.values, reverse=True) and curve.slope > 0
    assert 0 < curve.fit_error < curve.values[-1]


def test_the_same_generator_repeats_the_curve() -> None:
    sets = draws(100, 4, 0), draws(120, 4, 1)
    first, again = (fid_curve(*sets, np.random.default_rng(3)) for _ in "ab")
    assert first == again


def test_the_line_of_exact_points_is_that_line() -> None:
    from dgmbench.evaluation.quality.fid_bias import _line

    x = np.array([0.1, 0.2, 0.4])
    assert _line(x, 3 + 5 * x) == pytest.approx((3.0, 5.0, 0.0), abs=1e-7)


def test_too_few_rows_are_refused() -> None:
    assert rows_needed(64) == 256
    with pytest.raises(ValueError, match="takes 40 rows of each set, not 39 and 90"):
        fid_curve(draws(39, 10, 0), draws(90, 10, 1), np.random.default_rng(0))
