"""Dealing images to splits, shortening them, and the random streams behind both."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmbench.data import streams
from dgmbench.data.splits import Split, limited, stratified


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=6, max_size=200), st.data())
def test_stratified_splits_are_a_partition_with_every_class_in_its_share(
    values: list[int], data: st.DataObject
) -> None:
    labels = np.array(values, np.int64)
    valid = data.draw(st.integers(0, len(labels) // 3))
    test = data.draw(st.integers(0, len(labels) // 3))
    sizes = {"train": len(labels) - valid - test, "valid": valid, "test": test}
    parts = stratified(labels, sizes, streams.generator(0, "split"))
    assert {split: len(part) for split, part in parts.items()} == sizes
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    for split in ("valid", "test"):
        share = np.bincount(labels, minlength=7) * sizes[split] / len(labels)
        assert (np.abs(np.bincount(labels[parts[split]], minlength=7) - share) < 1).all()


def test_stratified_splits_are_shuffled_so_that_a_prefix_has_all_classes() -> None:
    labels = np.repeat(np.arange(10), 100)
    train = stratified(labels, {"train": 800, "test": 200}, streams.generator(3, "split"))["train"]
    assert set(labels[train[:100]]) == set(range(10))
    assert len(set(np.diff(train))) > 100


def test_stratified_refuses_sizes_that_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="splits of 3 for 4 images"):
        stratified(np.zeros(4, np.int64), {"train": 2, "test": 1}, streams.generator(0, "split"))


def test_streams_are_those_pinned_here_on_every_machine() -> None:
    order = streams.permutation(streams.generator(0, "split"), 1000)
    images = np.arange(17, dtype=np.uint8).repeat(100)
    drawn = streams.bernoulli(streams.generator(0, "binary_test"), images, 17)
    assert sorted(order) == list(range(1000))
    assert hashlib.sha256(order.astype("<i8").tobytes()).hexdigest()[:16] == "bc7586895a92ed6f"
    assert hashlib.sha256(drawn.tobytes()).hexdigest()[:16] == "9eddf558d531acbb"


def test_streams_differ_between_seeds_and_purposes() -> None:
    draws = [
        tuple(streams.generator(seed, purpose).random(4)) for seed in (0, 1) for purpose in streams.PURPOSES
    ]
    assert len(set(draws)) == len(draws) == 2 * len(streams.PURPOSES)


def test_classes_of_one_image_are_dealt_once() -> None:
    # Each of the rare classes would round up to a validation and a test image.
    labels = np.array([0] * 6 + [1, 2, 3])
    parts = stratified(labels, {"train": 3, "valid": 3, "test": 3}, streams.generator(0, "split"))
    assert {split: len(indices) for split, indices in parts.items()} == {"train": 3, "valid": 3, "test": 3}
    assert sorted(np.concatenate(list(parts.values()))) == list(range(9))


def test_bernoulli_has_the_right_mean_and_never_errs_at_the_ends() -> None:
    images = np.tile(np.arange(17, dtype=np.uint8), (20_000, 1))
    drawn = streams.bernoulli(streams.generator(1, "binary_valid"), images, 17)
    assert drawn.dtype == np.uint8
    assert drawn[:, 0].max() == 0
    assert drawn[:, 16].min() == 1
    # Five standard errors of a mean of 20,000 fair draws.
    assert np.abs(drawn.mean(0) - np.arange(17) / 16).max() < 5 * 0.5 / np.sqrt(20_000)


def test_bernoulli_of_a_prefix_is_the_prefix_and_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.Generator(np.random.PCG64(5)).integers(0, 17, (20, 1, 8, 8)).astype(np.uint8)
    whole = streams.bernoulli(streams.generator(2, "binary_test"), images, 17)
    prefix = streams.bernoulli(streams.generator(2, "binary_test"), images[:7], 17)
    monkeypatch.setattr(streams, "CHUNK", 13)
    chunked = streams.bernoulli(streams.generator(2, "binary_test"), images, 17)
    np.testing.assert_array_equal(whole[:7], prefix)
    np.testing.assert_array_equal(whole, chunked)


def splits_of(train: int, valid: int, test: int) -> dict[str, Split]:
    sizes = {"train": train, "valid": valid, "test": test}
    return {
        split: Split(np.zeros((n, 1, 2, 2), np.uint8), np.arange(n, dtype=np.int64))
        for split, n in sizes.items()
    }


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [(100, (100, 20, 20)), (1, (1, 1, 1)), (None, (1000, 200, 200)), (5000, (1000, 200, 200))],
)
def test_a_limit_shortens_all_splits_in_proportion(limit: int | None, sizes: tuple[int, ...]) -> None:
    short = limited(splits_of(1000, 200, 200), limit)
    assert tuple(len(part.images) for part in short.values()) == sizes
    for part in short.values():
        assert part.labels is not None
        np.testing.assert_array_equal(part.labels, np.arange(len(part.images)))
