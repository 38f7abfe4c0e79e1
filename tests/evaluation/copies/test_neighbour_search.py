"""Exact search, by integers and by floats, against brute force: ties, cancellation, blocks, shifts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dgmbench.evaluation.copies import integer_search, neighbour_search
from dgmbench.evaluation.copies.float_search import FloatSearch
from dgmbench.evaluation.copies.neighbour_search import (
    k_nearest,
    nearest,
    nearest_other,
    nearest_under_shifts,
)

BLOCKS = [1 << 12, 1 << 16, 1 << 26]


def images(n: int, seed: int, width: int = 48) -> Tensor:
    return torch.rand(n, width, generator=torch.Generator().manual_seed(seed))


def levels(n: int, seed: int, width: int = 48, highest: int = 255) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, highest + 1, (n, width), dtype=torch.uint8, generator=generator)


def brute_force(queries: Tensor, references: Tensor, k: int) -> tuple[np.ndarray, np.ndarray]:
    """All differences in float64 (integers in int64, exactly); ties in the order of the indices."""
    a, b = (x.flatten(1).numpy().astype(np.int64 if x.dtype == torch.uint8 else np.float64)
            for x in (queries, references))  # fmt: skip
    squared = ((a[:, None] - b[None]) ** 2).sum(2)
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return np.sqrt(np.take_along_axis(squared, order, 1).astype(np.float64)), order


EXACT = integer_search.int8_is_exact()


@pytest.fixture(params=["int8", "float32"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both engines on bytes, whichever is faster here; int8 only where its products are exact."""
    if request.param == "int8" and not EXACT:
        pytest.skip("this processor's int8 products saturate")
    monkeypatch.setattr(integer_search, "int8_pays", lambda: request.param == "int8")
    return str(request.param)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("block_bytes", BLOCKS)
@pytest.mark.parametrize("k", [1, 3])
def test_floats_agree_with_brute_force(offset: float, block_bytes: int, k: int) -> None:
    queries, references = images(70, 0) + offset, images(300, 1) + offset
    distances, indices = k_nearest(queries, references, k, block_bytes)
    expected, places = brute_force(queries, references, k)
    np.testing.assert_allclose(distances, expected, rtol=1e-12)
    np.testing.assert_array_equal(indices, places)


@pytest.mark.parametrize("block_bytes", BLOCKS)
@pytest.mark.parametrize(("k", "highest"), [(1, 255), (5, 255), (1, 1), (7, 1)])
def test_bytes_agree_with_brute_force_to_the_last_bit(
    way: str, block_bytes: int, k: int, highest: int
) -> None:
    """With one bit and 16 pixels nearly everything is a tie."""
    width = 48 if highest > 1 else 16
    queries, references = levels(60, 0, width, highest), levels(333, 1, width, highest)
    distances, indices = k_nearest(queries, references, k, block_bytes)
    expected, places = brute_force(queries, references, k)
    np.testing.assert_array_equal(distances, expected)
    np.testing.assert_array_equal(indices, places)


def test_the_largest_distances_do_not_overflow(way: str) -> None:
    black, white = torch.zeros(1, 42_999, dtype=torch.uint8), torch.full((3, 42_999), 255, dtype=torch.uint8)
    distances, indices = nearest(torch.cat([black, white]), white)
    assert distances.tolist() == [255 * 42_999**0.5, 0, 0, 0] and indices.tolist() == [0, 0, 0, 0]
    assert nearest(white, black)[0].tolist() == [255 * 42_999**0.5] * 3


def test_float_results_are_the_same_bytes_for_every_block_size() -> None:
    queries, references = images(90, 0), images(1000, 1)
    first, *others = (k_nearest(queries, references, 4, size) for size in BLOCKS)
    for other in others:
        assert torch.equal(first[0], other[0]) and torch.equal(first[1], other[1])


def test_more_queries_than_a_pass_takes(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    queries, references = levels(100, 0), levels(70, 1)
    expected = k_nearest(queries, references, 3)
    monkeypatch.setattr(neighbour_search, "QUERIES", 33)
    assert all(torch.equal(a, b) for a, b in zip(k_nearest(queries, references, 3), expected, strict=True))


def test_all_references_can_be_asked_for(way: str) -> None:
    queries, references = levels(5, 0), levels(70, 1)
    distances, indices = k_nearest(queries, references, 70, 1 << 12)
    expected, places = brute_force(queries, references, 70)
    np.testing.assert_array_equal(distances, expected)
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
    distances, indices = k_nearest(base, references, 3)
    assert steps[indices[0]].tolist() == [0, 1, 2]
    assert float(distances[0, 0]) == pytest.approx(1e-9 * 48**0.5, rel=1e-4)


def test_ties_go_to_the_lowest_index_however_many() -> None:
    references = torch.ones(200, 6)
    references[37:] = 0.0
    distances, indices = k_nearest(torch.zeros(3, 6), references, 2, 1 << 11)
    assert indices.tolist() == [[37, 38]] * 3 and distances.tolist() == [[0.0, 0.0]] * 3


def test_a_lowered_matmul_precision_does_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, references = images(30, 0), images(100, 1)
    expected = nearest(queries, references)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    search = FloatSearch(references, 1, 1 << 20)
    assert search.dtype == torch.float64
    assert torch.equal(nearest(queries, references)[1], expected[1])


def test_an_int8_product_that_is_wrong_or_missing_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    saturating = lambda a, b: (a.float() @ b.float()).clamp(-(2**15), 2**15 - 1).int()  # noqa: E731
    for product in (saturating, None):
        integer_search.int8_pays.cache_clear()
        monkeypatch.setattr(torch, "_int_mm", product)
        assert not integer_search.int8_pays()
    integer_search.int8_pays.cache_clear()


def test_shapes_are_flattened_and_units_kept(way: str) -> None:
    references = torch.zeros(5, 1, 2, 2, dtype=torch.uint8)
    references[3] = 255
    distances, indices = nearest(torch.full((1, 1, 2, 2), 250, dtype=torch.uint8), references)
    assert float(distances[0]) == 10.0 and int(indices[0]) == 3
    mixed, place = nearest(torch.full((1, 4), 250.0), references)
    assert float(mixed[0]) == 10.0 and int(place[0]) == 3


def test_memory_mapped_references_give_the_same(tmp_path: Path, way: str) -> None:
    queries, references = levels(20, 0), levels(300, 1)
    np.save(tmp_path / "train.npy", references.numpy())
    mapped = torch.from_numpy(np.load(tmp_path / "train.npy", mmap_mode="c"))
    found, expected = k_nearest(queries, mapped, 2, 1 << 12), k_nearest(queries, references, 2)
    assert torch.equal(found[0], expected[0]) and torch.equal(found[1], expected[1])


def test_no_block_of_scores_is_larger_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, addmm, int_mm = [], torch.addmm, torch._int_mm

    def recorded(result: Tensor) -> Tensor:
        sizes.append(result.numel() * result.element_size())
        return result

    monkeypatch.setattr(torch, "addmm", lambda *a, **options: recorded(addmm(*a, **options)))
    monkeypatch.setattr(torch, "_int_mm", lambda *a: recorded(int_mm(*a)))
    monkeypatch.setattr(integer_search, "int8_pays", lambda: True)
    nearest(images(500, 0), images(2000, 1), 1 << 16)
    floats = len(sizes)
    nearest(levels(500, 0), levels(2000, 1), 1 << 16)
    assert floats > 2 and len(sizes) - floats > 2 and max(sizes) <= 1 << 16


# Others of the same set


def test_the_nearest_other_is_not_oneself() -> None:
    references = images(40, 0)
    rows = torch.tensor([3, 0, 39, 3])
    expected, _ = brute_force(references[rows], references, 2)
    np.testing.assert_allclose(nearest_other(references, rows), expected[:, 1], rtol=1e-12)


def test_duplicates_are_at_distance_zero_however_many() -> None:
    references = levels(10, 0)
    references[[2, 5, 7]] = references[9].clone()
    found = nearest_other(references, torch.arange(10))
    assert [int(i) for i in (found == 0).nonzero()] == [2, 5, 7, 9]
    with pytest.raises(ValueError, match="no other"):
        nearest_other(references[:1], torch.tensor([0]))


# Shifts


def moved(images: Tensor, down: int, right: int, fill: int) -> Tensor:
    """Roll, then paint over what came in."""
    rolled = images.roll((down, right), (2, 3))
    height, width = images.shape[2:]
    for row in range(height):
        for column in range(width):
            if not (0 <= row - down < height and 0 <= column - right < width):
                rolled[:, :, row, column] = fill
    return rolled


@pytest.mark.parametrize("fill", [0, 200])
@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 0), (0, -1), (-1, 1)])
def test_moved_copies_are_found_whatever_came_in(down: int, right: int, fill: int) -> None:
    references = levels(50, 0, 60).reshape(50, 1, 6, 10)
    rows = torch.tensor([4, 40, 7])
    distances, indices, shifts = nearest_under_shifts(moved(references[rows], down, right, fill), references)
    assert distances.tolist() == [0, 0, 0] and torch.equal(indices, rows)
    assert shifts.tolist() == [[down, right]] * 3


def test_shifts_agree_with_a_search_image_by_image() -> None:
    queries, references = (levels(n, n, 40).reshape(n, 2, 4, 5) for n in (6, 9))
    found = nearest_under_shifts(queries, references)
    for i, query in enumerate(queries.double()):
        best = np.inf
        for reference in references.double():
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    pairs = [
                        float((query[:, r, c] - reference[:, r - down, c - right]).square().sum())
                        for r in range(4) for c in range(5) if 0 <= r - down < 4 and 0 <= c - right < 5
                    ]  # fmt: skip
                    best = min(best, np.sqrt(sum(pairs) / len(pairs) * 20))
        assert float(found[0][i]) == pytest.approx(best, rel=1e-12)


def test_no_shift_is_plain_search() -> None:
    queries, references = (levels(n, n, 36).reshape(n, 1, 6, 6) for n in (6, 30))
    plain, none = nearest(queries, references), nearest_under_shifts(queries, references, 0)
    assert torch.equal(plain[0], none[0]) and torch.equal(plain[1], none[1]) and not none[2].any()


# What is refused


def test_unfit_inputs_are_refused() -> None:
    train = images(10, 0)
    with pytest.raises(ValueError, match="empty"):
        nearest(train[:0], train)
    with pytest.raises(ValueError, match="values each"):
        nearest(train, train[:, :3])
    with pytest.raises(ValueError, match="between 1 and the number of references, 10"):
        k_nearest(train, train, 11)
    with pytest.raises(ValueError, match="larger than 2 pixels"):
        nearest_under_shifts(train.reshape(10, 1, 24, 2), train.reshape(10, 1, 24, 2), 2)


def test_values_that_are_not_finite_are_told_whose_they_are() -> None:
    broken = images(10, 0)
    broken[3, 3] = torch.nan
    with pytest.raises(ValueError, match="queries have values that are not finite"):
        nearest(broken, images(10, 1))
    with pytest.raises(ValueError, match="references have values that are not finite"):
        nearest(images(10, 1), broken)
