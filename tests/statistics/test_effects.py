"""Intervals against the textbook's t table, closed forms, and a simulation of trainings and test images."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from dgmbench.statistics import (
    Interval,
    Part,
    Sources,
    deviation_interval,
    mean_interval,
    over_images,
    paired_difference,
    sources,
    student_interval,
    unpaired_difference,
)


def test_three_seeds_use_the_t_quantile_of_two_degrees_of_freedom() -> None:
    found = student_interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_the_level_widens_the_interval() -> None:
    assert student_interval([1.0, 2.0, 3.0], level=0.9).half == pytest.approx(
        2.919986 / math.sqrt(3), rel=1e-6
    )


def test_one_seed_has_no_interval() -> None:
    assert student_interval([4.0]) == Interval(4.0) and not Interval(4.0).is_known


def test_equal_values_have_an_interval_of_zero() -> None:
    found = student_interval([0.1] * 5)
    assert (found.mean, found.half) == (pytest.approx(0.1), 0.0)


def test_no_values_and_impossible_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        student_interval([])
    with pytest.raises(ValueError, match="level"):
        student_interval([1.0, 2.0], level=1.0)


def test_statistics_load_without_torch_and_scipy() -> None:
    code = (
        "import sys, dgmbench.statistics; sys.exit(any(name in sys.modules for name in ('torch', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def scores(
    rng: np.random.Generator, seeds: int, images: int, sd: tuple[float, float, float], shared: float = 0.0
) -> np.ndarray:
    """Values [seeds, images] around zero: effects of the training, of the image and of both, by their sd."""
    return (
        rng.normal(0.0, sd[0], (seeds, 1))
        + rng.normal(0.0, sd[1], images)
        + rng.normal(0.0, sd[2], (seeds, images))
        + shared
    )


def test_one_training_of_images_alone_is_the_mean_of_a_sample() -> None:
    values = np.array([[1.0, 2.0, 3.0, 4.0]])
    found = sources(values)
    assert found.trainings is None and found.half_width() is None
    assert found.images == Part(pytest.approx(5.0 / 3.0 / 4.0), 3)
    assert found.images.half_width() == pytest.approx(3.182446 * math.sqrt(5.0 / 12.0), rel=1e-6)


def test_seeds_that_share_images_are_averaged_before_the_images_spread() -> None:
    """Two seeds with opposite errors on each image: their mean has none."""
    assert over_images(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])).variance == 0.0
    alike = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    assert over_images(alike).variance == pytest.approx(1.0 / 3.0)


def test_the_sources_of_an_additive_table_are_its_margins() -> None:
    """Without interaction the variance is that of the seeds' means over S plus that of the images' over n."""
    table = np.array([[0.0], [1.0], [2.0]]) + np.array([0.0, 10.0, 20.0, 30.0])
    found = sources(table)
    assert found.interaction == pytest.approx(0.0, abs=1e-12)
    assert found.trainings == Part(pytest.approx(1.0 / 3.0), 2)
    assert found.images == Part(pytest.approx(500.0 / 3.0 / 4.0), 3)
    seeds, images = 1.0 / 3.0, 125.0 / 3.0
    quantile = (4.302653 * seeds + 3.182446 * images) / (seeds + images)
    assert found.half_width() == pytest.approx(quantile * math.sqrt(seeds + images), rel=1e-6)


def test_equal_trainings_leave_the_images_and_no_images_leave_the_trainings() -> None:
    alike = np.tile([1.0, 2.0, 3.0, 4.0], (3, 1))
    assert sources(alike).half_width() == pytest.approx(3.182446 * math.sqrt(5.0 / 12.0), rel=1e-6)
    assert Sources(Part(1.0 / 3.0, 2)).half_width() == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


@pytest.mark.parametrize("sd", [(0.0, 0.0, 1.0), (1.0, 0.0, 1.0), (0.1, 1.0, 0.5)])
def test_what_both_sources_hold_is_counted_once(sd: tuple[float, float, float]) -> None:
    rng, seeds, images = np.random.default_rng(0), 4, 30
    found = [sources(scores(rng, seeds, images, sd)) for _ in range(4000)]
    total = [
        s.trainings.variance + s.images.variance - s.interaction for s in found if s.trainings is not None
    ]
    expected = sd[0] ** 2 / seeds + sd[1] ** 2 / images + sd[2] ** 2 / (seeds * images)
    assert np.mean(total) == pytest.approx(expected, rel=0.03)


# Standard deviations over trainings, images and both, for 40 images: from images alone to trainings alone.
SPREADS = [(0.0, 1.0, 0.0), (0.05, 1.0, 0.3), (0.3, 1.0, 0.3), (0.7, 1.0, 1.0), (1.0, 0.3, 0.0)]


@pytest.mark.parametrize("sd", SPREADS)
@pytest.mark.parametrize("seeds", [3, 5])
def test_an_interval_covers_the_mean_in_95_of_100_cases(seeds: int, sd: tuple[float, float, float]) -> None:
    rng, trials = np.random.default_rng(1), 700
    tables = (scores(rng, seeds, 40, sd) for _ in range(trials))
    held = [abs(table.mean()) <= (sources(table).half_width() or 0.0) for table in tables]
    # Three Monte Carlo errors are 2.5 %. The rule of quantiles may be up to 2.5 % too wide.
    assert 0.95 - 0.025 < np.mean(held) < 0.975 + 0.018


def test_without_effects_of_their_own_trainings_and_images_have_too_wide_an_interval_not_too_narrow() -> None:
    rng = np.random.default_rng(1)
    tables = [scores(rng, 3, 40, (0.0, 0.0, 1.0)) for _ in range(300)]
    assert np.mean([abs(table.mean()) <= (sources(table).half_width() or 0.0) for table in tables]) > 0.95


@pytest.mark.parametrize("sd", SPREADS)
def test_a_difference_of_equal_models_is_unclear_in_95_of_100_cases(sd: tuple[float, float, float]) -> None:
    """However much the images that both share spread, and with unequal numbers of seeds."""
    rng, trials = np.random.default_rng(2), 600
    unclear = []
    for _ in range(trials):
        shared = rng.normal(0.0, 5.0, 40)
        pair = scores(rng, 3, 40, sd, shared), scores(rng, 4, 40, (sd[0] / 2, *sd[1:]), shared)
        unclear.append(not paired_difference(*pair).is_clear)
    assert 0.95 - 0.027 < np.mean(unclear) < 0.98 + 0.015


def test_pairing_takes_away_what_the_images_share() -> None:
    rng = np.random.default_rng(3)
    shared = rng.normal(0.0, 5.0, 300)
    first, second = (scores(rng, 3, 300, (0.01, 0.2, 0.1), shared) for _ in range(2))
    errors = tuple(math.sqrt(over_images(values).variance) for values in (first, second))
    apart = unpaired_difference(first.mean(1).tolist(), second.mean(1).tolist(), errors)  # type: ignore[arg-type]
    paired = paired_difference(first, second)
    assert paired.mean == pytest.approx(apart.mean)
    assert paired.half < 0.1 < apart.half


@pytest.mark.parametrize("sizes", [(3, 3), (5, 2), (10, 4)])
def test_without_images_the_difference_is_that_of_welch(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(1.0, 2.0, sizes[0]), rng.normal(0.0, 0.5, sizes[1])
    found = unpaired_difference(list(first), list(second))
    reference = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), rel=1e-9)


def test_a_difference_at_a_higher_level_is_wider_by_its_quantile() -> None:
    usual, wide = (
        unpaired_difference([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], level=level) for level in (0.95, 0.99)
    )
    assert wide.half / usual.half == pytest.approx(stats.t.ppf(0.995, 4) / stats.t.ppf(0.975, 4), rel=1e-6)
    values = np.random.default_rng(0).normal(size=(2, 3, 20))
    assert paired_difference(*values, level=0.99).half > paired_difference(*values).half


def test_the_interval_of_a_deviation_is_that_of_chi_squared() -> None:
    found = deviation_interval([1.0, 2.0, 3.0])
    assert found.low == pytest.approx(math.sqrt(2 / stats.chi2.ppf(0.975, 2)))
    assert found.high == pytest.approx(math.sqrt(2 / stats.chi2.ppf(0.025, 2)))
    assert not deviation_interval([1.0]).is_known
    with pytest.raises(ValueError, match="at least one"):
        deviation_interval([])
    with pytest.raises(ValueError, match="level"):
        deviation_interval([1.0, 2.0], level=1.0)


def test_one_seed_on_either_side_leaves_a_difference_without_interval() -> None:
    assert unpaired_difference([1.0], [2.0, 3.0]).half == math.inf
    one = paired_difference(np.ones((1, 4)), np.zeros((3, 4)))
    assert (one.mean, one.is_known, one.is_clear) == (1.0, False, False)
    assert unpaired_difference([2.0, 2.0], [1.0, 1.0]).half == 0.0


def test_tables_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="two images"):
        sources(np.ones((3, 1)))
    with pytest.raises(ValueError, match="no pairs"):
        paired_difference(np.ones((3, 4)), np.ones((3, 5)))
    with pytest.raises(ValueError, match="at least one value"):
        unpaired_difference([], [1.0])


def test_one_repetition_gives_the_t_interval_of_the_points() -> None:
    values = np.random.default_rng(0).normal(2.0, 1.0, (1, 30))
    found = mean_interval(values)
    flat = values[0]
    expected = stats.t.interval(0.95, 29, flat.mean(), stats.sem(flat))
    assert (found.low, found.high) == pytest.approx(expected)


def test_repetitions_and_points_are_those_of_the_statistics() -> None:
    values = np.random.default_rng(1).normal(size=(4, 50))
    found = mean_interval(values)
    assert found.half == sources(values).half_width()
    assert found.mean == pytest.approx(float(values.mean()))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Repetition effects of 1 and point effects of 2 around a mean of 0, over 1000 draws."""
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(1000):
        points = rng.normal(0.0, 2.0, (1, 40))
        repeated = rng.normal(size=(4, 1))
        found = mean_interval(points + repeated)
        hits += found.low <= 0 <= found.high
    assert 940 <= hits <= 1000
