"""The Parzen window estimate of a run's samples."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dgmbench.data.pixels import dequantise
from dgmbench.data.views import DequantisedView
from dgmbench.evaluation.likelihood.parzen import parzen_log_likelihood, select_bandwidth
from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.subject import Subject
from dgmbench.kernel_density import gaussian_kernel_log_density
from dgmbench.models.capabilities import CanSample
from dgmbench.results import Record
from dgmbench.terms import LEVELLED
from dgmbench.training.seeding import generator_for

# Centres that go through the kernel density at once when they are drawn on the way.
STREAMED = 4000


@measure(needs=(CanSample,), samples=True, views=LEVELLED, reads=("parzen",))
def parzen(subject: Subject, folder: Path) -> Iterator[Record]:
    """Parzen window estimate on gray images; the bandwidth maximises the validation likelihood.

    A continuous density says nothing of binary images, so it is not asked in that view.
    """
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
    seeds = subject.settings.seed, subject.seed, subject.way or ""
    draws = generator_for("fresh samples", *seeds, device=subject.device)
    noise = generator_for("fresh noise", *seeds, device=subject.device)
    size = subject.settings.batch_size
    with torch.no_grad():
        for start in range(0, count, STREAMED):
            wanted = min(STREAMED, count - start)
            parts = [subject.draw(min(size, wanted - done), draws) for done in range(0, wanted, size)]
            yield dequantise(subject.view.decode(torch.cat(parts)), subject.levels, noise)


def _bandwidths(subject: Subject) -> list[float]:
    settings = subject.settings.parzen
    return list(np.logspace(*settings.log10_bandwidths, settings.bandwidths).tolist())


def _parzen_records(
    subject: Subject, suffix: str, values: Tensor, bandwidth: float, at_edge: bool
) -> Iterator[Record]:
    if at_edge:
        print(f"parzen: the best bandwidth {bandwidth:.3g} is at the edge of the grid", file=sys.stderr)
    # A density on [0,1]^d, whatever form the model's own x has.
    view = DequantisedView(subject.image_view.target, subject.view.name)
    readings = view.measure(values, "heuristic")
    yield from subject.readings(f"log_likelihood_parzen{suffix}", readings, subject.lap())
    n = min(subject.settings.parzen.valid_points, subject.data.size("valid"))
    yield subject.record(
        f"parzen_bandwidth{suffix}", bandwidth, n=n, unit="1", kind="heuristic", split="valid"
    )


def _dequantised(subject: Subject, split: str) -> Tensor:
    noise = generator_for("dequantise", split, subject.data_seed)
    return dequantise(subject.raw(split), subject.levels, noise).to(subject.device)
