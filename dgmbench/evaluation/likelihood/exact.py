"""The exact log-likelihood of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from dgmbench.evaluation.likelihood.estimators import (
    PointEstimates,
    exact_log_likelihood,
)
from dgmbench.evaluation.measure import EVERY_VIEW, measure
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import HasLogProb
from dgmbench.results import Kind, Record


@measure(needs=(HasLogProb,), reads=("dequantisation_draws",), views=EVERY_VIEW)
def exact(subject: Subject, folder: Path) -> Iterator[Record]:
    """Log-likelihood of all test images: exact, or for a density of dequantised ones a mean over draws.

    The mean of log p((k + u)/L) over the noise u is an expectation, which draws estimate; that is said by
    the record's kind, and what the draws differ by is part of its standard error over images.
    """
    model = subject.run.model
    assert isinstance(model, HasLogProb)
    dequantised = subject.view.continuous
    draws = [
        exact_log_likelihood(
            model.log_prob, subject.inputs("test", draw=draw), subject.settings.batch_size
        ).values
        for draw in range(subject.settings.dequantisation_draws if dequantised else 1)
    ]
    # Annealing sees the first draw.
    subject.kept["exact"] = draws[0]
    estimates = PointEstimates(torch.stack(draws).mean(0))
    kind: Kind = "estimate" if dequantised else "exact"
    yield from subject.likelihood("log_likelihood", estimates, kind, subject.lap())
