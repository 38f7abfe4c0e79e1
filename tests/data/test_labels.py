"""Label sets: balanced, nested, repeatable, another one for every number, and of one split alone."""

from __future__ import annotations

import numpy as np
import pytest

from dgmbench.data.labels import check_count, labelled_rows, labelled_validation_rows, most_balanced
from dgmbench.errors import DataError, LabelsError

SIZES = {"even": [30] * 10, "uneven": [12, 40, 25, 13], "two": [500, 20], "one": [7]}


def shuffled(sizes: list[int], seed: int = 0) -> np.ndarray:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(seed).permutation(labels)


def valid_counts(sizes: list[int]) -> range:
    return range(len(sizes), len(sizes) * min(sizes) + 1, len(sizes))


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("label_set", [0, 3, 2**62])
def test_every_count_is_balanced_and_holds_the_smaller_ones(sizes: list[int], label_set: int) -> None:
    labels, smaller = shuffled(sizes), set[int]()
    for count in valid_counts(sizes):
        rows = labelled_rows(labels, len(sizes), count, 1, label_set)
        assert rows.dtype == np.int64 and np.array_equal(rows, np.unique(rows)) and len(rows) == count
        assert np.bincount(labels[rows]).tolist() == [count // len(sizes)] * len(sizes)
        assert smaller < set(rows.tolist())
        smaller = set(rows.tolist())


def test_sets_are_repeatable_and_differ_by_seed_and_number() -> None:
    labels = shuffled([100] * 10)
    rows = labelled_rows(labels, 10, 50, 0, 0)
    assert np.array_equal(rows, labelled_rows(labels.copy(), 10, 50, 0, 0))
    others = [labelled_rows(labels, 10, 50, 0, 1), labelled_rows(labels, 10, 50, 1, 0),
              labelled_validation_rows(labels, 10, 50, 0)]  # fmt: skip
    for other in others:
        # Independent sets of 50 among 1000 share 2.5 on average.
        assert len(np.intersect1d(rows, other)) < 15


def test_every_image_is_as_likely_as_another() -> None:
    labels = shuffled([20] * 5)
    times = np.zeros(100)
    for label_set in range(400):
        times[labelled_rows(labels, 5, 25, 0, label_set)] += 1
    # Binomial(400, 1/4): 100 on average, standard deviation 8.7.
    assert times.min() > 60 and times.max() < 140


def test_the_rows_are_the_same_on_every_machine() -> None:
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    assert labelled_rows(labels, 2, 4, 0, 0).tolist() == [3, 6, 8, 9]
    assert labelled_validation_rows(labels, 2, 4, 0).tolist() == [0, 7, 8, 9]


def test_labelled_images_lie_in_no_other_split() -> None:
    from dgmbench.data.datasets import get_spec
    from dgmbench.data.prepare import load_splits

    splits = load_splits("digits", seed=0).splits
    labels = splits["train"].labels
    assert labels is not None and get_spec("digits").classes == 10
    chosen = {splits["train"].images[row].tobytes() for row in labelled_rows(labels, 10, 1000, 0, 0)}
    for split in ("valid", "test"):
        assert not chosen & {image.tobytes() for image in splits[split].images}


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (15, "15 labels cannot be had: 4 classes cannot share them equally. Nearest: 12 or 16$"),
        (3, "3 labels cannot be had: 4 classes .* Nearest: 4$"),
        (0, "0 labels .* 4 classes .* Nearest: 4$"),
        (47, "4 classes cannot share them equally. Nearest: 44 or 48$"),
        (52, "52 labels cannot be had: class 0 has 12 of the 90 training examples. Nearest: 48$"),
        (92, "92 labels cannot be had: there are 90 training examples. Nearest: 48$"),
    ],
)
def test_counts_that_cannot_be_had_say_why_and_what_can(count: int, message: str) -> None:
    with pytest.raises(LabelsError, match=message):
        labelled_rows(shuffled(SIZES["uneven"]), 4, count, 0, 0)
    assert issubclass(LabelsError, DataError)


@pytest.mark.parametrize(("present", "missing"), [([0, 0, 2, 2], 1), ([0, 0, 1, 1], 2)])
def test_a_class_without_images_has_no_labels(present: list[int], missing: int) -> None:
    labels = np.array(present)
    message = rf"class {missing} has 0 of the 4 validation examples\. No number can"
    with pytest.raises(LabelsError, match=message):
        labelled_validation_rows(labels, 3, 3, 0)
    assert most_balanced(labels, 3, 100) == 0
    with pytest.raises(LabelsError, match=f"class {missing} has none of the 4 training examples"):
        check_count(labels, 3, None, "train")
    check_count(labels, 3, None, "valid")


def test_the_largest_balanced_count() -> None:
    labels = shuffled(SIZES["uneven"])
    assert [most_balanced(labels, 4, n) for n in (3, 4, 47, 48, 1000)] == [0, 4, 44, 48, 48]
