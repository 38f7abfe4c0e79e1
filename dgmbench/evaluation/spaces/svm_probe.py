"""The classifier by which Radford et al. 2015 judge features (sections 5.1 and 5.2): a linear L2-SVM.

Squared hinge loss, one class against the rest, its regularisation chosen on validation images. They judge a
discriminator's features, max-pooled to a 4x4 grid and joined to one vector, which is what `encode` of an
adversarial model gives; here it reads the features of every model. Unlike theirs, features are standardised
as for the other probes, and divided by the root of their number, so that one grid of C fits all of them.

The objective is that of liblinear, bias penalised like a weight; L-BFGS takes a second for a thousand labels
where liblinear takes a minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.spaces.probe_sets import (
    PROBE_SETTINGS,
    Array,
    Predictor,
    Probed,
    ProbeSet,
    chosen,
    probe_errors,
)
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import CanEncode, CanPredict
from dgmbench.results import Record

# The least relative step of the objective.
FTOL = 1e-6
C_GRID = (1e-2, 1e-1, 1.0, 10.0, 100.0)


@measure(needs=(CanEncode,), lacks=(CanPredict,), labels=True, reads=PROBE_SETTINGS)
def svm_probes(subject: Subject, folder: Path) -> Iterator[Record]:
    """`svm_error_<labels>`: test error of a linear L2-SVM on the model's features."""
    yield from probe_errors(subject, "svm", l2_svm)


def l2_svm(sets: ProbeSet, grid: Sequence[float] = C_GRID) -> Probed:
    """A linear L2-SVM, its C chosen on the validation images."""
    images, labels = sets.train
    classes, targets = np.unique(labels, return_inverse=True)
    signs = np.where(targets[:, None] == np.arange(len(classes)), 1.0, -1.0)

    def with_bias(features: Array) -> Array:
        return np.hstack([features / np.sqrt(features.shape[1]), np.ones((len(features), 1))])

    start: Array | None = None

    def fit(strength: float) -> Predictor:
        # From the weights of the strength below: strengths ascend, and neighbours are alike.
        nonlocal start
        weights = start = svm_weights(with_bias(images), signs, strength, start)
        return lambda features: classes[(with_bias(features) @ weights).argmax(1)]

    with threadpool_limits(1):
        return chosen(grid, fit, sets)


def svm_weights(features: Array, signs: Array, strength: float, start: Array | None = None) -> Array:
    """Weights [f, c] of c machines, of features [n, f] and signs -1 or 1 [n, c].

    Each minimises |w|^2 / 2 + C sum_i max(0, 1 - s_i w.x_i)^2, found from `start` [f, c] (zero).
    """
    from scipy.optimize import minimize

    # The weights lie in the span of the images: with few of them, there are few coordinates.
    basis = np.linalg.qr(features.T)[0] if len(features) < features.shape[1] else np.eye(features.shape[1])
    seen = features @ basis
    shape = seen.shape[1], signs.shape[1]

    def objective(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(shape)
        slack = np.maximum(0.0, 1.0 - signs * (seen @ weights))
        gradient = weights - 2 * strength * seen.T @ (signs * slack)
        value = 0.5 * np.square(weights).sum() + strength * np.square(slack).sum()
        return float(value), gradient.ravel()

    first = np.zeros(shape) if start is None else basis.T @ start
    found = minimize(objective, first.ravel(), jac=True, method="L-BFGS-B",
                     options={"maxiter": 300, "ftol": FTOL, "gtol": 1e-4, "maxcor": 20})  # fmt: skip
    return basis @ found.x.reshape(shape)
