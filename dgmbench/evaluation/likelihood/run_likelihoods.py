"""The likelihood metrics of a run: exact, bounds, annealed, Parzen; each silent where it has no say."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.blocks import BlockStore
from dgmbench.data.views import dequantise, to_levels
from dgmbench.evaluation.likelihood.annealing import annealed_log_likelihood
from dgmbench.evaluation.likelihood.annealing_path import Annealing
from dgmbench.evaluation.likelihood.bdmc import bidirectional_gap
from dgmbench.evaluation.likelihood.estimators import (
    PointEstimates,
    Weigher,
    elbo,
    exact_log_likelihood,
    importance_sampled_log_likelihood,
)
from dgmbench.evaluation.likelihood.generator_noise import GaussianObservation, select_variance
from dgmbench.evaluation.likelihood.parzen import parzen_log_likelihood, select_bandwidth
from dgmbench.evaluation.subject import Subject
from dgmbench.files import sha256_json
from dgmbench.kernel_density import gaussian_kernel_log_density
from dgmbench.models.capabilities import CanDecode, HasLogProb, HasLogWeights, HasObservationModel
from dgmbench.models.registry import family_module
from dgmbench.provenance import code_key
from dgmbench.results import Kind, Record
from dgmbench.training.runs import CHECKPOINTS
from dgmbench.training.seeding import derive_seed, generator_for

# Candidate variances are compared by fewer chains than the estimate gets, along a path as long: a short path
# is loosest at small variances, so it would choose too large a one.
CHOICE_CHAINS = 2
# Centres that go through the kernel density at once when they are drawn on the way.
STREAMED = 4000


def exact(subject: Subject, folder: Path) -> Iterator[Record]:
    """Log-likelihood of all test images: exact, or for a density of dequantised ones a mean over draws.

    The mean of log p((k + u)/L) over the noise u is an expectation, which draws estimate; that is said by
    the record's kind, and what the draws differ by is part of its standard error over images.
    """
    model = subject.run.model
    if not isinstance(model, HasLogProb):
        return
    dequantised = model.domain == "dequantised"
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


def bounds(subject: Subject, folder: Path) -> Iterator[Record]:
    """ELBO and importance-sampled log-likelihood, with the same draws for every seed."""
    model, settings = subject.run.model, subject.settings
    if not isinstance(model, HasLogWeights):
        return
    seed = derive_seed("likelihood", settings.seed) % 2**32
    x = subject.inputs("test")
    weigher = Weigher(model)
    estimates = elbo(weigher, x, settings.elbo_samples, seed)
    yield from subject.likelihood("elbo", estimates, "lower_bound", subject.lap())
    rows = subject.held_out_rows(settings.importance_points)
    with _store(subject, "is", settings.importance_samples) as store:
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


def annealed(subject: Subject, folder: Path) -> Iterator[Record]:
    """Annealed log-likelihood of some test images, its bidirectional gap and what it gains on others.

    A generator without observation model is given Gaussian noise of a variance chosen on validation images
    (gray images only: there is no such density on binary ones).
    """
    settings = subject.settings.ais
    model: Any = subject.run.model
    if settings.points == 0 or not isinstance(model, CanDecode):
        return
    plan = _plan(subject)
    seed = derive_seed("annealing", subject.settings.seed) % 2**32
    if not isinstance(model, HasObservationModel):
        if subject.view != "gray":
            return
        variance = yield from _observation_variance(subject, model, plan, seed)
        model = GaussianObservation(model, variance)
    rows = subject.held_out_rows(settings.points)
    x = subject.inputs("test")[rows]
    with _store(subject, "ais", settings) as store:
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
    with _store(subject, "gap-up", settings) as up, _store(subject, "gap-down", settings) as down:
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


def store_folder(dataset: str, model: str) -> Path:
    """Where the estimates of an entry keep what they have done, until its results are written."""
    return CHECKPOINTS / "evaluation" / dataset / model


def _store(subject: Subject, name: str, settings: Any) -> BlockStore:
    """Where a long estimate of this run keeps what it has done, outside of what DVC empties."""
    info = subject.run.info
    family = info["settings"]["family"]
    path = store_folder(info["dataset"], info["model"]) / f"{name}-{info['seed']}.pt"
    fingerprint = sha256_json(
        {
            "weights": info["weights_sha256"],
            "data": subject.data.sha256,
            "data_seed": subject.data_seed,
            "settings": subject.settings.model_dump(mode="json", exclude={"store"}),
            "device": subject.device.type,
            "code": code_key(__name__, family_module(family)),
        }
    )
    return BlockStore(path, fingerprint)


def parzen(subject: Subject, folder: Path) -> Iterator[Record]:
    """Parzen window estimate on gray images; the bandwidth maximises the validation likelihood.

    A continuous density says nothing of binary images, so that view has none.
    """
    if subject.view != "gray":
        return
    settings = subject.settings.parzen
    noise = generator_for("parzen", subject.settings.seed)
    centres = dequantise(subject.samples[: settings.samples], subject.levels, noise).to(subject.device)
    valid = _dequantised(subject, "valid")[subject.held_out_rows(settings.valid_points, "valid")]
    choice = select_bandwidth(centres, valid, _bandwidths(subject))
    values = parzen_log_likelihood(centres, _dequantised(subject, "test"), choice.bandwidth)
    yield from _parzen_records(subject, "", values, choice.bandwidth, choice.at_edge)
    for count in settings.larger:
        yield from _streamed_parzen(subject, count, valid)


def _streamed_parzen(subject: Subject, count: int, valid: Tensor) -> Iterator[Record]:
    """The estimate from `count` fresh samples, none of which is kept: one pass scores both splits."""
    grid = _bandwidths(subject)
    test = _dequantised(subject, "test")
    scores = gaussian_kernel_log_density(fresh_centres(subject, count), torch.cat([valid, test]), grid)
    best = int(scores[: len(valid)].mean(0).argmax())
    at_edge = best in (0, len(grid) - 1)
    yield from _parzen_records(subject, f"_{count}", scores[len(valid) :, best], grid[best], at_edge)


def fresh_centres(subject: Subject, count: int) -> Iterator[Tensor]:
    """`count` new samples as dequantised images, some thousands at a time, the same ones every time."""
    model = subject.run.model
    seeds = subject.settings.seed, subject.run.info["seed"], subject.way or ""
    draws = generator_for("fresh samples", *seeds, device=subject.device)
    noise = generator_for("fresh noise", *seeds, device=subject.device)
    size = subject.settings.batch_size
    with torch.no_grad():
        for start in range(0, count, STREAMED):
            wanted = min(STREAMED, count - start)
            parts = [subject.draw(min(size, wanted - done), draws) for done in range(0, wanted, size)]
            yield dequantise(to_levels(torch.cat(parts), subject.levels, model.domain), subject.levels, noise)


def _bandwidths(subject: Subject) -> list[float]:
    settings = subject.settings.parzen
    return list(np.logspace(*settings.log10_bandwidths, settings.bandwidths).tolist())


def _parzen_records(
    subject: Subject, suffix: str, values: Tensor, bandwidth: float, at_edge: bool
) -> Iterator[Record]:
    if at_edge:
        print(f"parzen: the best bandwidth {bandwidth:.3g} is at the edge of the grid", file=sys.stderr)
    estimates, seconds = PointEstimates(values), subject.lap()
    yield from subject.density(f"log_likelihood_parzen{suffix}", estimates, "heuristic", "heuristic", seconds)
    n = min(subject.settings.parzen.valid_points, subject.data.size("valid"))
    yield subject.record(
        f"parzen_bandwidth{suffix}", bandwidth, n=n, unit="1", kind="heuristic", split="valid"
    )


def _dequantised(subject: Subject, split: str) -> Tensor:
    noise = generator_for("dequantise", split, subject.data_seed)
    return dequantise(subject.raw(split), subject.levels, noise).to(subject.device)
