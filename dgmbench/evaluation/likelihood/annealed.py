"""The annealed log-likelihood of a run, and the error that annealing can have."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from dgmbench.evaluation.likelihood.annealing import annealed_log_likelihood
from dgmbench.evaluation.likelihood.annealing_path import Annealing
from dgmbench.evaluation.likelihood.bdmc import bidirectional_gap
from dgmbench.evaluation.likelihood.estimators import (
    PointEstimates,
)
from dgmbench.evaluation.likelihood.generator_noise import GaussianObservation, select_variance
from dgmbench.evaluation.likelihood.unfinished import unfinished
from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import CanDecode, HasObservationModel
from dgmbench.results import Record
from dgmbench.training.seeding import derive_seed

# Candidate variances are compared by fewer chains than the estimate gets, along a path as long: a short path
# is loosest at small variances, so it would choose too large a one.
CHOICE_CHAINS = 2


@measure(needs=(CanDecode,), reads=("ais",), after=("exact", "bounds"))
def annealed(subject: Subject, folder: Path) -> Iterator[Record]:
    """Annealed log-likelihood of some test images, its bidirectional gap and what it gains on others.

    A generator without observation model is given Gaussian noise of a variance chosen on validation images
    (gray images only: there is no such density on binary ones).
    """
    settings = subject.settings.ais
    model: Any = subject.run.model
    if settings.points == 0:
        return
    plan = _plan(subject)
    seed = derive_seed("annealing", subject.settings.seed) % 2**32
    if not isinstance(model, HasObservationModel):
        if not subject.view.continuous:
            return
        variance = yield from _observation_variance(subject, model, plan, seed)
        model = GaussianObservation(model, variance)
    rows = subject.held_out_rows(settings.points)
    x = subject.inputs("test")[rows]
    with unfinished(subject, "ais", settings, __name__) as store:
        found = annealed_log_likelihood(model, x, plan, seed, resume=store)
    seconds = subject.lap()
    yield from subject.likelihood("log_likelihood_ais", found.estimates, "lower_bound", seconds, rows)
    acceptance = float(found.acceptance.mean())
    yield subject.record("ais_acceptance", acceptance, n=len(x), unit="1", kind="estimate")
    yield from _compared(subject, rows, found.estimates.values)
    yield from _gap(subject, model, plan, seed)


def _plan(subject: Subject) -> Annealing:
    settings = subject.settings.ais
    return Annealing(
        chains=settings.chains,
        distributions=settings.distributions,
        leapfrog_steps=settings.leapfrog_steps,
        target_acceptance=settings.target_acceptance,
        block_points=settings.block_points,
    )


def _observation_variance(
    subject: Subject, model: CanDecode, plan: Annealing, seed: int
) -> Generator[Record, None, float]:
    """Yields the record of the variance that validation images chose, and returns it."""
    settings = subject.settings.ais
    valid = subject.inputs("valid")[subject.held_out_rows(settings.valid_points, "valid")]
    grid = np.logspace(*settings.log10_variances, settings.variances).tolist()
    fewer = replace(plan, chains=min(plan.chains, CHOICE_CHAINS))
    choice = select_variance(model, valid, grid, fewer, seed)
    if choice.at_edge:
        print(
            f"annealing: the best variance {choice.variance:.3g} is at the edge of the grid", file=sys.stderr
        )
    yield subject.record(
        "observation_variance",
        choice.variance,
        n=len(valid),
        unit="1",
        kind="estimate",
        split="valid",
        seconds=subject.lap(),
    )
    return choice.variance


def _compared(subject: Subject, rows: Tensor, annealed: Tensor) -> Iterator[Record]:
    """Annealed minus exact, or minus importance-sampled, image by image on the same dequantised images."""
    for other, metric in (("exact", "ais_error"), ("importance", "ais_gain")):
        if other not in subject.kept:
            continue
        differences = annealed - subject.kept[other][rows]
        found = PointEstimates(differences[~differences.isnan()])
        if len(found):
            yield subject.record(
                metric, found.mean(), found.std_error(), n=len(found), unit="nats", kind="estimate"
            )


def _gap(subject: Subject, model: Any, plan: Annealing, seed: int) -> Iterator[Record]:
    settings = subject.settings.ais
    with (
        unfinished(subject, "gap-up", settings, __name__) as up,
        unfinished(subject, "gap-down", settings, __name__) as down,
    ):
        found = bidirectional_gap(model, settings.simulated, plan, seed, resume=(up, down))
    gaps = found.gaps
    yield subject.record(
        "bdmc_gap",
        gaps.mean(),
        gaps.std_error(),
        n=len(gaps),
        unit="nats",
        kind="estimate",
        seconds=subject.lap(),
    )
