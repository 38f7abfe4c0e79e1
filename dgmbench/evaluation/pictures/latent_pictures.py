"""Pictures of a latent space: what is decoded from codes, between codes, and from codes that were added to.

Sheets of mean images p(x|z), for every model whose features are codes of its own decoder (see
`dgmbench.evaluation.spaces.latents`): auto-encoders, VAEs, and PPCA, the linear case. They show what a
model has learned and measure nothing. Codes come from `Subject.features`, which keeps them, with the limits
that the probes use, so that no image is encoded twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.pictures.sheets import (
    LatentSheet,
    decoded_images,
    for_model,
    levels_of,
    sheet_levels,
    write_sheets,
)
from dgmbench.evaluation.spaces.latent_geometry import (
    Codes,
    Quantiles,
    attribute_vector,
    linear,
    plane,
    spherical,
)
from dgmbench.evaluation.spaces.latents import INFERS, codes_of
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import CanDecode, CanEncode
from dgmbench.models.parts.densities import standard_normal_log_prob
from dgmbench.results import Record

# Test images in the reconstructions: so many in a row, in two such rows.
SHOWN, BANDS = 10, 2
GRID = 20
PAIRS, STEPS = 5, 10
CLASS_PAIRS = 5
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


@measure(needs=(CanEncode, INFERS), reads=("probe_pool", "parzen"), first_seed=True)
def pictures(subject: Subject, folder: Path) -> Iterator[Record]:
    """Write ``latent-<seed>.npz`` (sheets by role) and ``.json`` (their words) of the first finished seed.

    Yields no records: it stands among the metrics because they share the codes.
    """
    sheets = list(latent_sheets(subject))
    if sheets:
        write_sheets(folder, f"latent-{subject.run.info['seed']}", sheets)
    return iter(())


def latent_sheets(subject: Subject) -> Iterator[LatentSheet]:
    """All sheets that the model and the data set allow; none where the features are no codes."""
    codes = codes_of(subject, "test")
    if codes is None:
        return
    yield reconstructions(subject, codes)
    if codes.shape[1] == 2:
        yield manifold(subject)
    if len(codes) > 1:
        yield interpolation(subject, codes)
    if subject.data.classes is not None:
        yield from arithmetic(subject, codes)


# The sheets


def reconstructions(subject: Subject, codes: Codes) -> LatentSheet:
    """The first test images, each above the image decoded from its code."""
    columns = min(SHOWN, len(codes))
    bands = min(BANDS, len(codes) // columns)
    n = bands * columns
    above, below = levels_of(subject, subject.pixels("test", n)), decoded_images(subject, codes[:n])
    parts = [images[i * columns : (i + 1) * columns] for i in range(bands) for images in (above, below)]
    return LatentSheet(
        "reconstructions",
        "Reconstructions",
        "The first test images, each above the mean image decoded from its code.",
        np.concatenate(parts),
        rows=2 * bands,
        columns=columns,
        levels=sheet_levels(subject),
        row_labels=("test", "decoded") * bands,
    )


def manifold(subject: Subject) -> LatentSheet:
    """The plane of two latents on a grid (Kingma & Welling 2013, appendix A)."""
    quantiles: Quantiles
    if has_standard_prior(subject.run.model):
        quantiles, how = gaussian_quantiles, "the inverse distribution function of the prior, N(0, 1)"
    else:
        quantiles, how = _code_quantiles(subject), "the quantiles of training codes (no prior N(0, I))"
    return LatentSheet(
        "manifold",
        "The latent plane",
        f"Mean images on a grid of {GRID}x{GRID} codes, evenly spaced on the unit square and taken through "
        f"{how}; the first latent grows to the right, the second upwards.",
        decoded_images(subject, plane(GRID, quantiles)),
        rows=GRID,
        columns=GRID,
        levels=sheet_levels(subject),
    )


def interpolation(subject: Subject, codes: Codes) -> LatentSheet:
    """Between the codes of test images 0 and 1, 2 and 3 and so on, by both routes."""
    pairs = min(PAIRS, len(codes) // 2)
    starts, ends = codes[0 : 2 * pairs : 2], codes[1 : 2 * pairs : 2]
    routes = np.stack([linear(starts, ends, STEPS), spherical(starts, ends, STEPS)], axis=1)
    between = decoded_images(subject, routes.reshape(-1, codes.shape[1])).reshape(
        pairs, 2, STEPS, *subject.data.shape
    )
    real = levels_of(subject, subject.pixels("test", 2 * pairs)).reshape(pairs, 2, 1, 1, *subject.data.shape)
    left, right = (np.broadcast_to(real[:, i], (pairs, 2, 1, *subject.data.shape)) for i in range(2))
    return LatentSheet(
        "interpolation",
        "Between test images",
        f"The outer columns are test images. Between them, {STEPS} mean images decoded on the way from the "
        "code of the left one to that of the right one: in a straight line, and below it along the arc "
        "around the origin (White 2016).",
        np.concatenate([left, between, right], axis=2).reshape(-1, *subject.data.shape),
        rows=2 * pairs,
        columns=STEPS + 2,
        levels=sheet_levels(subject),
        row_labels=("straight", "arc") * pairs,
    )


def arithmetic(subject: Subject, codes: Codes) -> Iterator[LatentSheet]:
    """Codes of one class's test images plus multiples of what distinguishes another class from it."""
    train = codes_of(subject, "train", subject.settings.probe_pool)
    labels = {split: np.asarray(subject.data.labels(split)) for split in ("train", "test")}
    assert train is not None
    train_labels = labels["train"][: len(train)]
    present = np.intersect1d(train_labels, labels["test"])
    pairs = [(int(a), int(b)) for a, b in itertools.pairwise(present)][::2][:CLASS_PAIRS]
    if not pairs:
        return
    # The first test image of each pair's first class.
    chosen = [int(np.flatnonzero(labels["test"] == source)[0]) for source, _ in pairs]
    vectors = np.stack([attribute_vector(train, train_labels, *pair) for pair in pairs])
    moved = codes[chosen][:, None] + np.array(STRENGTHS)[:, None] * vectors[:, None]
    decoded = decoded_images(subject, moved.reshape(-1, codes.shape[1])).reshape(
        len(pairs), len(STRENGTHS), *subject.data.shape
    )
    real = levels_of(subject, subject.pixels("test")[chosen])[:, None]
    yield LatentSheet(
        "arithmetic",
        "Latent arithmetic",
        "A test image of one class, and mean images decoded from its code plus so many times the attribute "
        "vector: the mean code of the other class less that of its own, over training images.",
        np.concatenate([real, decoded], axis=1).reshape(-1, *subject.data.shape),
        rows=len(pairs),
        columns=len(STRENGTHS) + 1,
        levels=sheet_levels(subject),
        row_labels=tuple(f"{source} to {target}" for source, target in pairs),
        column_labels=("test", *(f"{strength:g}" for strength in STRENGTHS)),
    )


# Quantiles of the plane


def has_standard_prior(model: object) -> bool:
    """Whether p(z) = N(0, I), by its density at a few places."""
    if not isinstance(model, CanDecode):
        return False
    z = torch.tensor([[0.0], [0.5], [-2.0]]).expand(3, model.latent_dim)
    with torch.no_grad():
        found = model.prior_log_prob(for_model(model, z))
    return torch.allclose(found.double().cpu(), standard_normal_log_prob(z).double(), atol=1e-4)


def gaussian_quantiles(probabilities: Codes, place: int) -> Codes:
    """Those of N(0, 1), for any dimension."""
    from scipy.special import ndtri

    return ndtri(probabilities)


def _code_quantiles(subject: Subject) -> Quantiles:
    codes = codes_of(subject, "train", subject.settings.probe_pool)
    assert codes is not None
    return lambda probabilities, place: np.quantile(codes[:, place], probabilities)
