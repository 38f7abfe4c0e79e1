"""Which examples are labelled, where only some are: balanced, nested label sets.

A label set is a draw of the order in which the training examples of each class are labelled. Its first
`count / classes` examples of every class are the labelled ones, so a smaller count is a part of a larger one.
Sets are drawn by the data seed and the number of the set, which is the training seed of a run: every method
and every probe of seed s uses label set s, and an interval over seeds is one over label sets as well.

Labelled examples stay in the pool of unlabelled ones, with their labels hidden. Which validation examples
are labelled is drawn by the data seed alone. Label sets are parts of one split, so they are disjoint from
the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dgmbench.data import streams
from dgmbench.errors import LabelsError

IntArray = np.ndarray[Any, np.dtype[np.int64]]
WORDS = {"train": "training", "valid": "validation"}


def labelled_rows(labels: IntArray, classes: int, count: int, data_seed: int, label_set: int) -> IntArray:
    """`count` rows of the training split, int64 sorted, equally many of each class.

    Args:
        labels: int64 ``[n]``, of the whole training split.
        classes: how many the data set has.
        count: how many are labelled.
        data_seed: with `label_set`, draws them.
        label_set: the number of the set, the training seed of a run.

    Raises:
        LabelsError: for a count that the classes cannot share, or more than there are.
    """
    return _balanced(labels, classes, count, streams.generator(data_seed, "labelled", label_set), "train")


def labelled_validation_rows(labels: IntArray, classes: int, count: int, data_seed: int) -> IntArray:
    """`count` rows of the validation split, int64 sorted, equally many of each class, for all label sets.

    Raises:
        LabelsError: as `labelled_rows`.
    """
    return _balanced(labels, classes, count, streams.generator(data_seed, "labelled_valid"), "valid")


def most_balanced(labels: IntArray, classes: int, at_most: int) -> int:
    """The largest count up to `at_most` that all classes share equally; 0 if there is none."""
    return classes * min(at_most // classes, int(_sizes(labels, classes).min()))


def _sizes(labels: IntArray, classes: int) -> IntArray:
    return np.bincount(labels, minlength=classes)


def _balanced(
    labels: IntArray, classes: int, count: int, generator: np.random.Generator, split: str
) -> IntArray:
    """The first examples of every class in a random order, which is drawn for the whole split."""
    check_count(labels, classes, count, split)
    order = streams.permutation(generator, len(labels))
    chosen = [order[labels[order] == label][: count // classes] for label in range(classes)]
    return np.sort(np.concatenate(chosen))


def check_count(labels: IntArray, classes: int, count: int | None, split: str) -> None:
    """Refuse a count that cannot be had of the labels ``[n]`` of a split; None is all of them.

    All of the training split cannot be had where a class has no example.

    Raises:
        LabelsError: with the reason and the nearest counts that can.
    """
    sizes = _sizes(labels, classes)
    least, words = int(sizes.argmin()), WORDS[split]
    most = classes * int(sizes.min())
    if count is None:
        if split == "train" and not most:
            raise LabelsError(f"class {least} has none of the {len(labels)} {words} examples")
        return
    if count > len(labels):
        reason = f"there are {len(labels)} {words} examples"
    elif count < 1 or count % classes:
        reason = unequal(classes)
    elif count > most:
        reason = f"class {least} has {sizes[least]} of the {len(labels)} {words} examples"
    else:
        return
    raise LabelsError(f"{count} labels cannot be had: {reason}. {_nearest(count, classes, most)}")


def unequal(classes: int) -> str:
    """Why a count is refused that is no multiple of the number of classes."""
    return f"{classes} classes cannot share them equally"


def _nearest(count: int, classes: int, most: int) -> str:
    if most < classes:
        return "No number can: there is a class without any"
    below = classes * (count // classes)
    near = sorted({min(max(each, classes), most) for each in (below, below + classes)})
    return f"Nearest: {' or '.join(map(str, near))}"
