"""Linear probe: how much class information a model's features hold, read by logistic regression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.spaces.probe_sets import (
    PROBE_SETTINGS,
    Predictor,
    Probed,
    ProbeSet,
    chosen,
    probe_errors,
)
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import CanEncode, CanPredict
from dgmbench.results import Record

# Inverse strengths of the L2 penalty.
C_GRID: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


@measure(lacks=(CanPredict,), labels=True, reads=PROBE_SETTINGS)
def probes(subject: Subject, folder: Path) -> Iterator[Record]:
    """`probe_error_<labels>`: test error of multinomial logistic regression on the model's features.

    Of models that saw no label: the features of a classifier were made with labels. A model without features
    is asked too, so that the report says that it has none.
    """
    if not isinstance(subject.run.model, CanEncode):
        subject.leave_out("probes", "the model gives no features")
        return
    yield from probe_errors(subject, "probe", linear_probe)


def linear_probe(sets: ProbeSet, grid: Sequence[float] = C_GRID) -> Probed:
    """Multinomial logistic regression, its penalty chosen on the validation images."""
    # scikit-learn takes seconds to import, and most models need none of it.
    from sklearn.linear_model import LogisticRegression

    def fit(strength: float) -> Predictor:
        return LogisticRegression(C=strength, max_iter=5000).fit(*sets.train).predict

    # Matrices of a hundred rows only make BLAS threads wait for each other: two take twenty times as long.
    with threadpool_limits(1):
        return chosen(grid, fit, sets)
