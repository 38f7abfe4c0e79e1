"""Whether samples are copies of training images, in pixels and in the domain classifier's features.

In both spaces: how near samples are to their nearest training images in units of held-out images, AuthPct
and C_T. In pixels also with a shift by one pixel allowed, to which plain distance is blind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.evaluation.arrays import save_arrays
from dgmbench.evaluation.copies.copying import Cells, Placed, auth_pct, c_t
from dgmbench.evaluation.copies.neighbour_search import nearest_under_shifts
from dgmbench.evaluation.copies.neighbours import NeighbourReport, compared, mean_ratio
from dgmbench.evaluation.copies.ties import Neighbours, all_nearest
from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.subject import Subject
from dgmbench.results import Record
from dgmbench.training.seeding import derive_seed

# Pairs kept for the pictures of samples beside their nearest training images.
PICTURED = 16
DOMAIN = "_domain"


@dataclass(frozen=True)
class _Space:
    """Images of one space: ``[n, ...]``; `unit` is what a distance of 1 between them is reported as.

    identity: what turned images into it.
    """

    suffix: str
    generated: Tensor
    heldout: Tensor
    train: Tensor
    unit: float
    identity: str


@measure(samples=True, reads=("neighbour_samples", "copy_cells"))
def memorisation(subject: Subject, folder: Path) -> Iterator[Record]:
    """In pixels: ratio of distances, plain and under shifts, AuthPct and C_T; the closest pairs on file."""
    limit = subject.settings.neighbour_samples
    # As bytes, whose distances are exact; reported in intensities from 0 to 1.
    images = subject.samples[:limit], subject.held_out(limit), subject.raw("train")
    space = _Space("", *images, 1 / (subject.levels - 1), "pixels")
    sides = _sides(subject, space)
    report = _report(space, sides)
    yield _ratio(subject, "nn_distance_ratio", report.ratio, report.std_error, len(space.generated))
    yield from _authentic(subject, space, sides)
    yield from _copy_test(subject, space)
    yield _under_shifts(subject, space, report, folder)


@measure(labels=True, samples=True, reads=("neighbour_samples", "copy_cells"))
def memorisation_domain(subject: Subject, folder: Path) -> Iterator[Record]:
    """In the domain classifier's features: ratio of distances, AuthPct and C_T."""
    assert subject.domain is not None
    limit = subject.settings.neighbour_samples
    heldout = subject.domain_features("test")[subject.held_out_rows(limit)]
    features = subject.sample_features(limit), heldout, subject.domain_features("train")
    space = _Space(DOMAIN, *features, 1.0, subject.domain.identity)
    sides = _sides(subject, space)
    report = _report(space, sides)
    save_arrays(
        folder / f"neighbours-domain-{subject.run.info['seed']}.npz",
        generated_distances=report.generated_distances.float().numpy(),
        heldout_distances=report.heldout_distances.float().numpy(),
    )
    yield _ratio(subject, f"nn_distance_ratio{DOMAIN}", report.ratio, report.std_error, len(space.generated))
    yield from _authentic(subject, space, sides)
    yield from _copy_test(subject, space)


# All nearest training images of the generated and of the held-out images.
_Sides = tuple[Neighbours, Neighbours]


def _sides(subject: Subject, space: _Space) -> _Sides:
    def compute() -> dict[str, np.ndarray[Any, Any]]:
        found = all_nearest(space.heldout, space.train)
        return {name: getattr(found, name).numpy() for name in ("distances", "owners", "indices")}

    kept = _of_held_out(subject, space, "nearest", compute)
    return all_nearest(space.generated, space.train), Neighbours(**kept)


def _report(space: _Space, sides: _Sides) -> NeighbourReport:
    ours, theirs = ((side.distances, side.first) for side in sides)
    return compared(ours, theirs, space.unit)


def _of_held_out(
    subject: Subject, space: _Space, name: str, compute: Callable[[], dict[str, np.ndarray[Any, Any]]]
) -> dict[str, Tensor]:
    """The nearest training images of held-out images; the same for every model."""
    kept = subject.of_real_images(name, space.identity, len(space.heldout), compute=compute)
    return {key: torch.from_numpy(array) for key, array in kept.items()}


def _ratio(subject: Subject, metric: str, ratio: float, std_error: float | None, n: int) -> Record:
    seconds = subject.lap()
    return subject.record(metric, ratio, std_error, n=n, unit="1", kind="heuristic", seconds=seconds)


def _authentic(subject: Subject, space: _Space, sides: _Sides) -> Iterator[Record]:
    """AuthPct of samples, and of held-out images for comparison."""
    for metric, neighbours in zip(("auth_pct", "auth_pct_heldout"), sides, strict=True):
        score = auth_pct(neighbours, space.train)
        yield subject.record(
            metric + space.suffix, score.value, score.std_error,
            n=score.n, unit="percent", kind="heuristic", seconds=subject.lap(),
        )  # fmt: skip


def _copy_test(subject: Subject, space: _Space) -> Iterator[Record]:
    """C_T; left out, with the reason reported, if too few samples share a cell."""
    settings, metric = subject.settings, f"c_t{space.suffix}"
    try:
        cells, heldout = _cells(subject, space)
        rng = np.random.default_rng(derive_seed("c_t", settings.seed))
        found = c_t(cells.place(space.generated), heldout, rng)
    except ValueError as error:
        subject.leave_out(metric, error)
        return
    yield subject.record(
        metric, found.value, found.std_error,
        n=len(space.generated), unit="1", kind="heuristic", seconds=subject.lap(),
    )  # fmt: skip


def _cells(subject: Subject, space: _Space) -> tuple[Cells, Placed]:
    """The cells of the training images, and the held-out images in them."""
    settings = subject.settings

    def compute() -> dict[str, np.ndarray[Any, Any]]:
        cells = Cells(space.train, settings.copy_cells, derive_seed("cells", settings.seed) % 2**32)
        placed = cells.place(space.heldout)
        found = {"centres": cells.centres.numpy(), "of_train": cells.of_train.numpy()}
        return found | {"cells": placed.cells, "distances": placed.distances}

    parts = space.identity, settings.copy_cells, len(space.heldout)
    kept = subject.of_real_images("cells", *parts, compute=compute)
    known = Cells.known(space.train, *(torch.from_numpy(kept[name]) for name in ("centres", "of_train")))
    return known, Placed(kept["cells"], kept["distances"])


def _under_shifts(subject: Subject, space: _Space, report: NeighbourReport, folder: Path) -> Record:
    """The ratio under shifts of a pixel; writes the pairs that are closest so, and both distributions."""
    ours, index, _ = nearest_under_shifts(space.generated, space.train)
    theirs = _of_held_out(
        subject,
        space,
        "nearest under shifts",
        lambda: {"distances": nearest_under_shifts(space.heldout, space.train)[0].numpy()},
    )["distances"]
    ratio, std_error = mean_ratio(ours, theirs)
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
