"""Whether samples are copies of training images, in pixels and in the domain classifier's features.

In both spaces: how near samples are to their nearest training images in units of held-out images, AuthPct
and C_T. In pixels also with a shift by one pixel allowed, to which plain distance is blind.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dgmbench.evaluation.arrays import save_arrays
from dgmbench.evaluation.copying import Cells, auth_pct, c_t
from dgmbench.evaluation.neighbour_search import nearest_under_shifts
from dgmbench.evaluation.neighbours import NeighbourReport, median_ratio, nn_distance_ratio
from dgmbench.evaluation.subject import Subject
from dgmbench.results import Record
from dgmbench.training.seeding import derive_seed

# Pairs kept for the pictures of samples beside their nearest training images.
PICTURED = 16
# Generated, and held-out, images of the search under shifts, which is nine searches.
SHIFTED = 1000
DOMAIN = "_domain"


@dataclass(frozen=True)
class _Space:
    """Images of one space: ``[n, ...]``; `unit` is what a distance of 1 between them is reported as."""

    suffix: str
    generated: Tensor
    heldout: Tensor
    train: Tensor
    unit: float


def memorisation(subject: Subject, folder: Path) -> Iterator[Record]:
    """In pixels: ratio of distances, plain and under shifts, AuthPct and C_T; the closest pairs on file."""
    limit = subject.settings.neighbour_samples
    # As bytes, whose distances are exact; reported in intensities from 0 to 1.
    images = subject.samples[:limit], subject.raw("test", limit), subject.raw("train")
    space = _Space("", *images, 1 / (subject.levels - 1))
    report = _report(subject, space)
    yield _ratio(subject, "nn_distance_ratio", report.ratio, report.std_error, len(space.generated))
    yield from _authentic(subject, space, report)
    yield from _copy_test(subject, space)
    yield _under_shifts(subject, space, report, folder)


def memorisation_domain(subject: Subject, folder: Path) -> Iterator[Record]:
    """In the domain classifier's features: ratio of distances, AuthPct and C_T."""
    if subject.classifier is None:
        return
    limit = subject.settings.neighbour_samples
    real = subject.domain_features("test", limit), subject.domain_features("train")
    space = _Space(DOMAIN, subject.sample_features(limit), *real, 1.0)
    report = _report(subject, space)
    save_arrays(
        folder / f"neighbours-domain-{subject.run.info['seed']}.npz",
        generated_distances=report.generated_distances.float().numpy(),
        heldout_distances=report.heldout_distances.float().numpy(),
    )
    yield _ratio(subject, f"nn_distance_ratio{DOMAIN}", report.ratio, report.std_error, len(space.generated))
    yield from _authentic(subject, space, report)
    yield from _copy_test(subject, space)


def _report(subject: Subject, space: _Space) -> NeighbourReport:
    rng = np.random.default_rng(derive_seed("neighbours", subject.settings.seed))
    return nn_distance_ratio(space.generated, space.heldout, space.train, rng, unit=space.unit)


def _ratio(subject: Subject, metric: str, ratio: float, std_error: float | None, n: int) -> Record:
    seconds = subject.lap()
    return subject.record(metric, ratio, std_error, n=n, unit="1", kind="heuristic", seconds=seconds)


def _authentic(subject: Subject, space: _Space, report: NeighbourReport) -> Iterator[Record]:
    """AuthPct of samples, and of held-out images for comparison."""
    sides = {
        "auth_pct": (report.generated_distances, report.generated_indices),
        "auth_pct_heldout": (report.heldout_distances, report.heldout_indices),
    }
    for metric, (distances, indices) in sides.items():
        score = auth_pct(distances, indices, space.train, space.unit)
        yield subject.record(
            metric + space.suffix, score.value, score.std_error,
            n=score.n, unit="percent", kind="heuristic", seconds=subject.lap(),
        )  # fmt: skip


def _copy_test(subject: Subject, space: _Space) -> Iterator[Record]:
    """C_T; told and left out where too few samples share a cell."""
    settings, metric = subject.settings, f"c_t{space.suffix}"
    seed = derive_seed("cells", settings.seed) % 2**32
    try:
        cells = Cells(space.train, settings.copy_cells, seed)
        rng = np.random.default_rng(derive_seed("c_t", settings.seed))
        found = c_t(cells.place(space.generated), cells.place(space.heldout), rng)
    except ValueError as error:
        info = subject.run.info
        print(f"evaluate {info['model']} seed {info['seed']}: {metric} left out: {error}", file=sys.stderr)
        return
    yield subject.record(
        metric, found.value, found.std_error,
        n=len(space.generated), unit="1", kind="heuristic", seconds=subject.lap(),
    )  # fmt: skip


def _under_shifts(subject: Subject, space: _Space, report: NeighbourReport, folder: Path) -> Record:
    """The ratio under shifts of a pixel; writes the pairs that are closest so, and both distributions."""
    ours, index, _ = nearest_under_shifts(space.generated[:SHIFTED], space.train)
    theirs, _, _ = nearest_under_shifts(space.heldout[:SHIFTED], space.train)
    rng = np.random.default_rng(derive_seed("shifts", subject.settings.seed))
    ratio, std_error = median_ratio(ours, theirs, rng)
    closest = torch.sort(ours, stable=True).indices[:PICTURED]
    save_arrays(
        folder / f"neighbours-{subject.run.info['seed']}.npz",
        samples=space.generated[closest].numpy(),
        neighbours=space.train[report.generated_indices[closest]].numpy(),
        distances=report.generated_distances[closest].float().numpy(),
        shifted=space.train[index[closest]].numpy(),
        shifted_distances=(space.unit * ours[closest]).float().numpy(),
        generated_distances=report.generated_distances.float().numpy(),
        heldout_distances=report.heldout_distances.float().numpy(),
    )
    return _ratio(subject, "nn_distance_ratio_shifts", ratio, std_error, len(ours))
