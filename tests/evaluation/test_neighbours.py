"""Nearest neighbours against brute force, and the ratio on planted copies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from dgmbench.evaluation import neighbours
from dgmbench.evaluation.neighbours import nearest, nn_distance_ratio


def images(n: int, seed: int, width: int = 48) -> Tensor:
    return torch.rand(n, width, generator=torch.Generator().manual_seed(seed))


def brute_force(queries: Tensor, references: Tensor) -> tuple[np.ndarray, np.ndarray]:
    difference = queries.double().numpy()[:, None] - references.double().numpy()[None]
    distances = np.sqrt((difference**2).sum(2))
    return distances.min(1), distances.argmin(1)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("block_bytes", [1 << 12, 1 << 16, 1 << 26])
def test_agrees_with_brute_force(offset: float, block_bytes: int) -> None:
    queries, references = images(70, 0) + offset, images(300, 1) + offset
    distances, indices = nearest(queries, references, block_bytes)
    expected, places = brute_force(queries, references)
    np.testing.assert_allclose(distances, expected, rtol=1e-12)
    np.testing.assert_array_equal(indices, places)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_exact_copies_have_distance_zero(offset: float) -> None:
    references = images(300, 1) + offset
    rows = torch.randperm(300, generator=torch.Generator().manual_seed(2))[:50]
    distances, indices = nearest(references[rows], references)
    assert torch.equal(distances, torch.zeros(50, dtype=torch.float64))
    assert torch.equal(indices, rows)


def test_near_copies_beyond_float32_are_told_apart() -> None:
    base = images(1, 0).double() + 100
    steps = torch.randperm(500, generator=torch.Generator().manual_seed(0)).double()
    references = base + 1e-9 * (steps[:, None] + 1)
    distances, indices = nearest(base, references)
    assert int(indices[0]) == int(steps.argmin())
    assert float(distances[0]) == pytest.approx(1e-9 * 48**0.5, rel=1e-4)


def test_ties_go_to_the_lowest_index_however_many() -> None:
    references = torch.ones(200, 6)
    references[37:] = 0.0
    distances, indices = nearest(torch.zeros(3, 6), references, 1 << 11)
    assert indices.tolist() == [37, 37, 37] and distances.tolist() == [0.0, 0.0, 0.0]


def test_binary_images_with_many_ties_agree_with_brute_force() -> None:
    queries, references = images(60, 0, 16).round(), images(400, 1, 16).round()
    distances, indices = nearest(queries, references)
    expected, places = brute_force(queries, references)
    np.testing.assert_allclose(distances, expected, rtol=1e-12)
    np.testing.assert_array_equal(indices, places)


def test_a_lowered_matmul_precision_does_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, references = images(30, 0), images(100, 1)
    expected = nearest(queries, references)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    search = neighbours._Search(references, 1 << 20)
    assert search.dtype == torch.float64
    assert torch.equal(nearest(queries, references)[1], expected[1])


def test_integer_images_keep_their_units_and_shapes_are_flattened() -> None:
    references = torch.zeros(5, 1, 2, 2, dtype=torch.uint8)
    references[3] = 255
    distances, indices = nearest(torch.full((1, 1, 2, 2), 250, dtype=torch.uint8), references)
    assert float(distances[0]) == 10.0 and int(indices[0]) == 3


def test_no_block_of_scores_is_larger_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, original = [], torch.addmm

    def recording(*args: Tensor, **options: float) -> Tensor:
        result = original(*args, **options)
        sizes.append(result.numel() * result.element_size())
        return result

    monkeypatch.setattr(torch, "addmm", recording)
    nearest(images(500, 0), images(2000, 1), 1 << 16)
    assert len(sizes) > 2 and max(sizes) <= 1 << 16


def test_copies_have_ratio_zero_and_fresh_images_ratio_one() -> None:
    train, heldout = images(400, 0), images(200, 1)
    rng = np.random.default_rng(0)
    copies = nn_distance_ratio(train[:150], heldout, train, rng)
    assert copies.ratio == 0.0 and torch.equal(copies.generated_indices, torch.arange(150))
    fresh = nn_distance_ratio(images(200, 2), heldout, train, rng)
    assert abs(fresh.ratio - 1) < 4 * fresh.std_error < 0.2
    noisy = nn_distance_ratio(train[:150] + 0.1 * images(150, 3), heldout, train, rng)
    assert 0 < noisy.ratio < 0.5


def test_the_report_holds_both_sets_of_distances() -> None:
    train, heldout, generated = images(50, 0), images(20, 1), images(30, 2)
    report = nn_distance_ratio(generated, heldout, train, np.random.default_rng(0))
    ours, theirs = brute_force(generated, train), brute_force(heldout, train)
    assert report.ratio == pytest.approx(np.median(ours[0]) / np.median(theirs[0]))
    np.testing.assert_array_equal(report.heldout_indices, theirs[1])
    again = nn_distance_ratio(generated, heldout, train, np.random.default_rng(0))
    assert again.std_error == report.std_error


def test_unfit_inputs_are_refused() -> None:
    train = images(10, 0)
    with pytest.raises(ValueError, match="no scale"):
        nn_distance_ratio(images(5, 1), train, train, np.random.default_rng(0))
    with pytest.raises(ValueError, match="empty"):
        nearest(train[:0], train)
    with pytest.raises(ValueError, match="values each"):
        nearest(train, train[:, :3])
