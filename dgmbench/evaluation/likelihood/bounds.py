"""The ELBO and the importance-sampled log-likelihood of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from dgmbench.evaluation.likelihood.estimators import PointEstimates, elbo, importance_sampled_log_likelihood
from dgmbench.evaluation.likelihood.noise_blocks import Weigher
from dgmbench.evaluation.likelihood.unfinished import unfinished
from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import HasLogWeights, SamplesGivenCondition
from dgmbench.results import Record
from dgmbench.training.seeding import derive_seed


@measure(needs=(HasLogWeights,), reads=("elbo_samples", "importance_samples", "importance_points"))
def bounds(subject: Subject, folder: Path) -> Iterator[Record]:
    """ELBO and importance-sampled log-likelihood, with the same draws for every seed."""
    model, settings = subject.run.model, subject.settings
    assert isinstance(model, HasLogWeights)
    seed = derive_seed("likelihood", settings.seed) % 2**32
    x = subject.inputs("test")
    weigher = Weigher(model)
    # A weight that is a mean over conditions is no p(x, z) / q(z|x): its mean log is a bound, and no ELBO.
    if not isinstance(model, SamplesGivenCondition):
        estimates = elbo(weigher, x, settings.elbo_samples, seed)
        yield from subject.likelihood("elbo", estimates, "lower_bound", subject.lap())
    rows = subject.held_out_rows(settings.importance_points)
    with unfinished(
        subject, "is", [settings.importance_samples, settings.importance_points], __name__
    ) as store:
        sampled = importance_sampled_log_likelihood(
            weigher, x[rows], settings.importance_samples, seed, resume=store
        )
    seconds, largest = subject.lap(), max(sampled)
    best = sampled[largest]
    subject.kept["importance"] = torch.full((len(x),), torch.nan, dtype=torch.float64)
    subject.kept["importance"][rows] = best.values
    for k, values in sampled.items():
        # One pass gives every K; each is charged what it would have cost alone.
        cost = seconds * k / largest
        yield from subject.likelihood(f"log_likelihood_is_{k}", values, "lower_bound", cost, rows)
    assert best.effective_sample_size is not None
    sizes = PointEstimates(best.effective_sample_size)
    yield subject.record(
        f"ess_is_{largest}", sizes.mean(), sizes.std_error(), n=len(sizes), unit="1", kind="estimate"
    )
