"""AuthPct and C_T: by hand, against brute force and SciPy, on identical, far and exchangeable sets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from dgmbench.evaluation.copies.copying import Cells, Placed, auth_pct, c_t, mann_whitney_z
from dgmbench.evaluation.copies.neighbour_search import nearest
from dgmbench.evaluation.copies.ties import all_nearest


def points(n: int, seed: int, width: int = 6) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a.double()[:, None] - b.double()[None]).square().sum(-1)


def scored(generated: Tensor, train: Tensor) -> float:
    return auth_pct(all_nearest(generated, train), train).value


def measured(generated: Tensor, heldout: Tensor, cells: Cells) -> float:
    return c_t(cells.place(generated), cells.place(heldout)).value


def one_cell(*distances: float) -> Placed:
    return Placed(np.zeros(len(distances), np.int64), np.array(distances))


# AuthPct


def test_authenticity_by_hand() -> None:
    """Training images at 0, 1 and 5, whose nearest others are 1, 1 and 4 away."""
    train = torch.tensor([[0.0], [1.0], [5.0]])
    generated = torch.tensor([[-0.5], [-1.5], [-1.0], [5.0], [8.9], [9.1], [2.5]])
    # Distances 0.5, 1.5, 1 (as far as the nearest other, so half), 0, 3.9, 4.1 and 1.5 of the one at 1.
    authentic = [0, 1, 0.5, 0, 0, 1, 1]
    assert [scored(x[None], train) for x in generated] == [100.0 * share for share in authentic]
    found = auth_pct(all_nearest(generated, train), train)
    assert found.value == pytest.approx(350 / 7) and found.n == 7
    assert found.std_error == pytest.approx(100 * np.std(authentic) / 7**0.5)


def test_nearest_training_images_that_tie_are_averaged_over() -> None:
    """Halfway between 1, whose nearest other is 1 away, and 5, whose is 4 away; the sample is 2 away."""
    train = torch.tensor([[0.0], [1.0], [5.0]])
    assert scored(torch.tensor([[3.0]]), train) == 50.0
    assert scored(torch.tensor([[3.0]]), train[[2, 1, 0]]) == 50.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_auth_pct_agrees_with_brute_force(dtype: torch.dtype) -> None:
    """Few levels, so that ties and duplicates abound."""
    train, generated = ((3 * points(n, n, 4)).abs().round().to(dtype) for n in (80, 120))
    apart = squared(train, train).fill_diagonal_(torch.inf).amin(1)
    shares = []
    for distances in squared(generated, train):
        own = distances.min()
        others = apart[distances == own]
        ties = ((others == own) & (own > 0)).double()
        shares.append(float(((others < own).double() + ties / 2).mean()))
    assert 0 < np.mean(shares) < 1 and len(set(shares)) > 3
    assert scored(generated, train) == pytest.approx(100 * np.mean(shares))


def test_copies_are_never_authentic_and_far_samples_always() -> None:
    train = points(60, 0)
    assert scored(train, train) == 0.0
    assert scored(train[[3, 3, 3]], train) == 0.0
    assert scored(points(60, 1) + 100, train) == 100.0


# C_T


def test_z_by_hand() -> None:
    """U = 3 of 4 pairs; mean 2, variance 4 (2 + 2 + 1) / 12."""
    assert mann_whitney_z(np.array([2.0, 4.0]), np.array([1.0, 3.0])) == pytest.approx(1 / (5 / 3) ** 0.5)
    assert mann_whitney_z(np.ones(3), np.ones(7)) == 0.0
    lowest = mann_whitney_z(np.zeros(30), np.ones(20))
    assert lowest == pytest.approx(-300 / (600 * 51 / 12) ** 0.5)


@pytest.mark.parametrize("digits", [8, 1])
def test_z_agrees_with_scipy_on_samples_with_and_without_ties(digits: int) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.3, 1, 31).round(digits), rng.normal(0, 1, 23).round(digits)
    u = mannwhitneyu(ours, theirs).statistic
    variance = 31 * 23 * 55 / 12
    assert mann_whitney_z(ours, theirs) == pytest.approx((u - 31 * 23 / 2) / variance**0.5)


def test_c_t_weighs_cells_by_their_held_out_images_and_leaves_out_thin_ones() -> None:
    rng = np.random.default_rng(0)
    sizes = {0: (30, 10), 1: (40, 30), 2: (20, 50), 3: (30, 0)}
    sides = [
        Placed(np.repeat(list(sizes), counts), rng.normal(shift, 1, sum(counts)) + 10)
        for counts, shift in ([[n for n, _ in sizes.values()], 0.0], [[n for _, n in sizes.values()], 1.0])
    ]
    found = c_t(*sides)
    z = [mann_whitney_z(*(side.distances[side.cells == cell] for side in sides)) for cell in (0, 1)]
    assert found.z.tolist() == z and found.weights.tolist() == [0.25, 0.75]
    assert found.value == pytest.approx(0.25 * z[0] + 0.75 * z[1])


def test_a_cell_without_training_images_is_left_out() -> None:
    train = torch.tensor([[0.0], [0.1], [10.0], [10.1]])
    cells = Cells(train, 2, 0)
    assert sorted(cells.centres.flatten().tolist()) == pytest.approx([0.05, 10.05], rel=1e-5)
    cells.of_train = torch.full_like(cells.of_train, int(cells.of(torch.tensor([[0.0]]))))
    placed = cells.place(torch.cat([torch.full((25, 1), 0.2), torch.full((25, 1), 9.0)]))
    np.testing.assert_allclose(placed.distances[:25], 0.1, rtol=1e-6)
    assert np.isinf(placed.distances[25:]).all()
    assert len(c_t(placed, placed).z) == 1


def test_distances_are_to_training_images_of_the_same_cell() -> None:
    train, images = points(200, 0, 2), points(150, 1, 2)
    cells = Cells(train, 5, 0)
    placed = cells.place(images)
    centres = torch.cdist(images.double(), cells.centres).argmin(1)
    np.testing.assert_array_equal(placed.cells, centres)
    own = torch.cdist(train.double(), cells.centres).argmin(1)
    for i in range(150):
        there = train[own == centres[i]].double()
        expected = float((images[i].double() - there).norm(dim=1).min())
        assert placed.distances[i] == pytest.approx(expected, rel=1e-12)
    assert (placed.distances > nearest(images, train)[0].numpy() + 1e-9).any()


def test_bytes_are_placed_as_floats_are() -> None:
    train, images = ((50 * points(n, n, 4)).abs().clamp(0, 255).to(torch.uint8) for n in (100, 60))
    as_bytes, as_floats = (
        Cells(x, 4, 0).place(y) for x, y in ((train, images), (train.float(), images.float()))
    )
    np.testing.assert_array_equal(as_bytes.cells, as_floats.cells)
    np.testing.assert_array_equal(as_bytes.distances, as_floats.distances)


def test_identical_sets_score_zero_copies_far_below_and_far_samples_far_above() -> None:
    train, heldout = points(400, 0), points(200, 1)
    cells = Cells(train, 3, 0)
    assert measured(heldout, heldout, cells) == 0.0
    copies, far = measured(train[:200], heldout, cells), measured(heldout * 3, heldout, cells)
    sizes = np.bincount(cells.of(heldout).numpy()), np.bincount(cells.of(train[:200]).numpy())
    # All of copies' distances below all others: Z = -sqrt(3 nm / (n + m + 1)) in each cell.
    lowest = -np.sqrt(3 * sizes[0] * sizes[1] / (sizes[0] + sizes[1] + 1)) @ sizes[0] / 200
    assert copies == pytest.approx(lowest)
    assert far > 5


def test_unseen_images_of_the_same_kind_score_about_zero() -> None:
    """C_T then has the variance sum of squared weights: over 60 trials, and as its bootstrap error."""
    train = points(500, 0)
    cells = Cells(train, 4, 0)
    rng = np.random.default_rng(0)
    found = [
        c_t(cells.place(points(300, 2 * i + 1)), cells.place(points(200, 2 * i + 2)), rng if i < 5 else None)
        for i in range(60)
    ]
    scaled = np.array([test.value / np.sqrt((test.weights**2).sum()) for test in found])
    assert abs(scaled.mean()) < 4 / 60**0.5 and 0.7 < scaled.std(ddof=1) < 1.4
    for test in found[:5]:
        assert test.std_error == pytest.approx(np.sqrt((test.weights**2).sum()), rel=0.25)


def test_the_same_seeds_give_the_same_bytes() -> None:
    train, generated, heldout = points(300, 0), points(400, 1), points(100, 2)
    first, again, other = (Cells(train, 6, seed) for seed in (0, 0, 1))
    assert torch.equal(first.centres, again.centres) and not torch.equal(first.centres, other.centres)
    a, b = (c_t(c.place(generated), c.place(heldout), np.random.default_rng(0)) for c in (first, again))
    assert (a.value, a.std_error) == (b.value, b.std_error)


def test_too_few_samples_and_too_many_cells_are_told() -> None:
    with pytest.raises(ValueError, match="more than 20 of the 20 generated images; C_T needs fewer cells"):
        c_t(one_cell(*range(20)), one_cell(1.0, 2.0))
    assert c_t(one_cell(*range(21)), one_cell(1.0, 2.0)).value > 0
    with pytest.raises(ValueError, match="11 cells of 10 training images"):
        Cells(points(10, 0), 11, 0)
