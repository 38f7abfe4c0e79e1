"""Linear probe: how much class information a model's features hold, read with few labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from dgmbench.errors import DataError
from dgmbench.statistics import binomial_std_error

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

C_GRID: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


@dataclass(frozen=True)
class ProbeResult:
    """Test accuracy of a linear classifier on frozen features.

    accuracy, valid_accuracy: percent. std_error: binomial over the n test images, percentage points; it
    leaves out the choice of labels, which differs between seeds. C: inverse strength of the L2 penalty.
    """

    accuracy: float
    std_error: float
    n: int
    C: float
    valid_accuracy: float


def linear_probe(
    train_features: ArrayLike,
    train_labels: ArrayLike,
    valid_features: ArrayLike,
    valid_labels: ArrayLike,
    test_features: ArrayLike,
    test_labels: ArrayLike,
    *,
    n_labels: int = 100,
    seed: int,
    grid: Sequence[float] = C_GRID,
) -> ProbeResult:
    """Multinomial logistic regression on `n_labels` training images, balanced over classes.

    Features are [n, f], labels [n] (NumPy, or torch on the CPU). Features are standardised by the mean and
    deviation of *all* training images, labelled or not, as nothing in that uses a label. The labelled subset
    is drawn by `seed`. So is as large a subset of the validation images, or the largest balanced one there
    is: C is the smallest with the best accuracy on it, since few labels in all mean few for validation. The
    test set is scored once, after that. Raises DataError if a class has too few labels, ValueError on unfit
    shapes.
    """
    train, train_y = _checked(train_features, train_labels, "train")
    valid, valid_y = _checked(valid_features, valid_labels, "valid")
    test, test_y = _checked(test_features, test_labels, "test")
    if len(grid) == 0:
        raise ValueError("the grid of C is empty; 1.0 alone works")
    center, scale = _scale(train)
    chosen = balanced_subset(train_y, n_labels, seed)
    labelled, labelled_y = (train[chosen] - center) / scale, train_y[chosen]
    judging = validation_subset(valid_y, n_labels, seed)
    valid, valid_y = valid[judging], valid_y[judging]
    # Matrices of a hundred rows only make BLAS threads wait for each other: two take twenty times as long.
    with threadpool_limits(1):
        models = [_fit(labelled, labelled_y, strength) for strength in sorted(grid)]
    scores = [_accuracy(model, (valid - center) / scale, valid_y) for model in models]
    best = int(np.argmax(scores))
    accuracy = _accuracy(models[best], (test - center) / scale, test_y)
    return ProbeResult(
        accuracy,
        binomial_std_error(accuracy, len(test_y)),
        len(test_y),
        float(sorted(grid)[best]),
        scores[best],
    )


def balanced_subset(labels: np.ndarray, n_labels: int, seed: int) -> np.ndarray:
    """Sorted indices of `n_labels` items, equally many of each class.

    Where the classes do not divide `n_labels`, some classes drawn by `seed` get one more. Raises DataError,
    naming what works, if a class is too small or there are more classes than labels.
    """
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise DataError("a probe needs at least two classes in the training labels")
    share, extra = divmod(n_labels, len(classes))
    if share < 1:
        raise DataError(f"{n_labels} labels for {len(classes)} classes; ask for at least {len(classes)}")
    wanted = np.full(len(classes), share)
    wanted[rng.choice(len(classes), extra, replace=False)] += 1
    if np.any(counts < wanted):
        short = int(np.argmin(counts - wanted))
        raise DataError(
            f"{n_labels} balanced labels need {wanted[short]} of class {classes[short]}, which has "
            f"{counts[short]}; at most {int(counts.min()) * len(classes)} labels work"
        )
    parts = [
        rng.choice(np.flatnonzero(labels == name), count, replace=False)
        for name, count in zip(classes, wanted, strict=True)
    ]
    return np.sort(np.concatenate(parts))


def validation_subset(labels: np.ndarray, n_labels: int, seed: int) -> np.ndarray:
    """Sorted indices of `n_labels` validation items, or as many as there are equally many of each class."""
    classes, counts = np.unique(labels, return_counts=True)
    return balanced_subset(labels, min(n_labels, int(counts.min()) * len(classes)), seed)


def _fit(features: np.ndarray, labels: np.ndarray, strength: float) -> LogisticRegression:
    # scikit-learn takes seconds to import, and most models need none of it.
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=5000).fit(features, labels)


def _accuracy(model: LogisticRegression, features: np.ndarray, labels: np.ndarray) -> float:
    """Percent of labels that are predicted."""
    return 100.0 * float(np.mean(model.predict(features) == labels))


def _scale(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation per feature; a constant feature keeps deviation 1, so it becomes zero."""
    deviation = features.std(0)
    spread = deviation > 1e-12 * np.maximum(np.abs(features).max(0), 1e-300)
    return features.mean(0), np.where(spread, deviation, 1.0)


def _checked(features: ArrayLike, labels: ArrayLike, name: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if x.ndim != 2 or len(x) == 0 or y.shape != (len(x),):
        raise ValueError(f"{name}: features [n, f] and labels [n], n >= 1, not {x.shape} and {y.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: features hold NaN or infinite values")
    return x, y
