"""Pictures of a generator without inference (a GAN's): how it learned, between two z, and arithmetic in z.

Sheets like those of `latent_pictures`, which are for models that have codes of images; here z is drawn from
the prior, and the domain classifier names classes. They show what a model has learned and measure
nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.pictures.latent_pictures import CLASS_PAIRS, PAIRS, STEPS, STRENGTHS
from dgmbench.evaluation.pictures.sheets import LatentSheet, write_sheets
from dgmbench.evaluation.spaces.latent_geometry import Codes, linear, spherical
from dgmbench.evaluation.spaces.latents import has_codes
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import CanDecode
from dgmbench.results import Record
from dgmbench.training.seeding import generator_for

# z that the arithmetic takes its classes from, and those of a class that its z is averaged over (Radford et
# al. 2015, section 6.3.2, average three).
POOL, AVERAGED = 2000, 3


@runtime_checkable
class HasStrip(Protocol):
    """Keeps images of the same few z from its training."""

    # uint8 [frames, n, C, H, W] of 256 levels, frame i after 2^i moves of the generator; and moves made.
    strip: Tensor
    moves: Tensor


@measure(needs=(CanDecode,), classifier=True, first_seed=True)
def generator_pictures(subject: Subject, folder: Path) -> Iterator[Record]:
    """Write ``latent-<seed>.npz`` and ``.json`` of the first finished seed; yields no records."""
    model: Any = subject.run.model
    if not has_codes(model):
        write_sheets(folder, f"latent-{subject.run.info['seed']}", list(generator_sheets(subject, model)))
    return iter(())


def generator_sheets(subject: Subject, model: CanDecode) -> Iterator[LatentSheet]:
    """All sheets that the model and the data set allow."""
    if isinstance(model, HasStrip) and int(model.moves) > 0:
        yield progress(model)
    yield interpolation(subject, model)
    if subject.classifier is not None:
        yield from arithmetic(subject, model)


def progress(model: HasStrip) -> LatentSheet:
    """The same z after 1, 2, 4, ... moves of the generator."""
    frames = min(int(model.moves).bit_length(), len(model.strip))
    images = model.strip[:frames].cpu().numpy()
    return LatentSheet(
        "progress",
        "Training",
        "Images of the same z, a column each, after so many moves of the generator.",
        images.reshape(-1, *images.shape[2:]),
        rows=frames,
        columns=images.shape[1],
        levels=256,
        row_labels=tuple(f"{2**frame:,}" for frame in range(frames)),
    )


def interpolation(subject: Subject, model: CanDecode) -> LatentSheet:
    """Between pairs of z, by both routes."""
    ends = _latents(subject, model, 2 * PAIRS)
    starts, ends = ends[0::2], ends[1::2]
    routes = np.stack([linear(starts, ends, STEPS), spherical(starts, ends, STEPS)], axis=1)
    return LatentSheet(
        "interpolation",
        "Between two z",
        f"{STEPS} images on the way from one z to another, both of the prior: in a straight line, and "
        "below it along the arc around the origin (White 2016).",
        _decoded(subject, model, routes.reshape(-1, model.latent_dim)),
        rows=2 * PAIRS,
        columns=routes.shape[2],
        levels=subject.levels,
        row_labels=("straight", "arc") * PAIRS,
    )


def arithmetic(subject: Subject, model: CanDecode) -> Iterator[LatentSheet]:
    """z of one class plus multiples of what distinguishes another class's z from it."""
    z = _latents(subject, model, POOL)
    labels = _classes(subject, model, z)
    counts = np.bincount(labels)
    present = [int(name) for name in np.flatnonzero(counts >= 2 * AVERAGED)]
    pairs = list(itertools.pairwise(present))[::2][:CLASS_PAIRS]
    if not pairs:
        return
    means = {name: z[labels == name][:AVERAGED].mean(0) for name in present}
    vectors = np.stack([means[target] - means[source] for source, target in pairs])
    # Not one of those that were averaged.
    starts = np.stack([z[labels == source][AVERAGED] for source, _ in pairs])
    moved = starts[:, None] + np.array(STRENGTHS)[:, None] * vectors[:, None]
    yield LatentSheet(
        "arithmetic",
        "Latent arithmetic",
        "An image of one class (by the domain classifier), and images of its z plus so many times the mean z "
        f"of {AVERAGED} images of another class less that of {AVERAGED} of its own.",
        _decoded(subject, model, moved.reshape(-1, model.latent_dim)),
        rows=len(pairs),
        columns=len(STRENGTHS),
        levels=subject.levels,
        row_labels=tuple(f"{source} to {target}" for source, target in pairs),
        column_labels=tuple(f"{strength:g}" for strength in STRENGTHS),
    )


def _latents(subject: Subject, model: CanDecode, n: int) -> Codes:
    """``[n, latent_dim]`` draws of the prior, the same for the same number."""
    generator = generator_for("latent", subject.settings.seed, n, device=subject.device)
    return model.prior_sample(n, generator).double().cpu().numpy()


def _classes(subject: Subject, model: CanDecode, z: Codes) -> np.ndarray[Any, Any]:
    assert subject.classifier is not None
    pixels = torch.from_numpy(_decoded(subject, model, z)).float() / (subject.levels - 1)
    return subject.classifier.predict(pixels).argmax(1).numpy()


def _decoded(subject: Subject, model: CanDecode, z: Codes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Images of ``z [n, latent_dim]`` in levels."""
    like = model.prior_sample(1, generator_for("like", device=subject.device))
    top = subject.levels - 1
    with torch.no_grad():
        images = torch.cat([model.decode(part) for part in torch.from_numpy(z).to(like).split(500)])
    return (images * top).round().clamp(0, top).to(torch.uint8).cpu().numpy()
