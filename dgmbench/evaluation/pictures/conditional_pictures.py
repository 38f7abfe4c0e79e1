"""Pictures of class and style: what changes with each of them while the other stays.

For every model of x given a class y and a style z with the prior N(0, I). Sheets of mean images, in the form
of the latent pictures (Kingma, Mohamed, Rezende & Welling 2014, figure 1): styles across all classes, the
plane of two styles for one class, and analogies. They show what a model has learned and measure nothing.
Where all columns of a row look alike, the model has put the class into z.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.pictures.latent_pictures import gaussian_quantiles
from dgmbench.evaluation.pictures.sheets import LatentSheet, levels_of, sheet_levels, write_sheets
from dgmbench.evaluation.spaces.latent_geometry import plane
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import HasStyle
from dgmbench.results import Record
from dgmbench.training.seeding import generator_for

# Styles drawn from the prior, test images of analogies, the side of the plane and its class.
STYLES, IMAGES, GRID, PLANE_CLASS = 8, 10, 14, 2
# Test images that decide which two dimensions of z the plane shows.
DECIDING = 1000


@measure(needs=(HasStyle,), labels=True, first_seed=True)
def style_pictures(subject: Subject, folder: Path) -> Iterator[Record]:
    """Write ``style-<seed>.npz`` and ``.json`` of the first finished seed; yields no records."""
    model: Any = subject.run.model
    with torch.no_grad():
        sheets = [styles(subject, model), style_plane(subject, model), analogies(subject, model)]
    write_sheets(folder, f"style-{subject.run.info['seed']}", sheets)
    return iter(())


def styles(subject: Subject, model: HasStyle) -> LatentSheet:
    """A row for each of a few z, a column for each class."""
    noise = generator_for("style", subject.settings.seed)
    z = torch.randn(STYLES, model.style_dim, generator=noise)
    return LatentSheet(
        "styles",
        "One style, all classes",
        "A row for each style, a z drawn from its prior N(0, I); a column for each class. Mean images.",
        _across_classes(subject, model, z),
        rows=STYLES,
        columns=model.classes,
        levels=sheet_levels(subject),
        column_labels=_names(model),
    )


def style_plane(subject: Subject, model: HasStyle) -> LatentSheet:
    """One class on a grid of the two dimensions of z that vary most over its test images."""
    label = min(PLANE_CLASS, model.classes - 1)
    first, second = leading(subject, model, label)
    z = torch.zeros(GRID * GRID, model.style_dim)
    z[:, [first, second]] = torch.from_numpy(plane(GRID, gaussian_quantiles)).to(z)
    others = ""
    if model.style_dim > 2:
        others = f" The inferred means vary most in these of {model.style_dim} dimensions; the others are 0."
    return LatentSheet(
        "style_plane",
        f"The styles of class {label}",
        f"Mean images of class {label} on a grid of two dimensions of z, evenly spaced on the unit square "
        f"and taken through the inverse distribution function of the prior.{others}",
        _decoded(subject, model, z, torch.full((len(z),), label)),
        rows=GRID,
        columns=GRID,
        levels=sheet_levels(subject),
    )


def leading(subject: Subject, model: HasStyle, label: int) -> tuple[int, int]:
    """The two dimensions of z whose inferred means have the largest variance over a class's test images."""
    if model.style_dim < 2:
        return 0, 0
    rows = torch.from_numpy(np.flatnonzero(_labels(subject) == label)[:DECIDING])
    if len(rows) < 2:
        return 0, 1
    x = subject.inputs("test")[rows].to(subject.device)
    spread = model.style(x, torch.full((len(x),), label, device=x.device)).double().var(0)
    first, second = spread.argsort(descending=True, stable=True)[:2].tolist()
    return first, second


def analogies(subject: Subject, model: HasStyle) -> LatentSheet:
    """A test image of each class, and all classes in the style that is inferred from it."""
    labels = _labels(subject)
    found = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)[:IMAGES]]
    rows = torch.tensor(found)
    x = subject.inputs("test")[rows].to(subject.device)
    y = torch.from_numpy(labels[found]).to(x.device)
    across = _across_classes(subject, model, model.style(x, y)).reshape(
        len(found), model.classes, *subject.data.shape
    )
    real = levels_of(subject, subject.pixels("test")[rows])[:, None]
    return LatentSheet(
        "analogies",
        "Analogies",
        "A test image, and mean images of every class in its style: the mean of q(z|x, y) with the image's "
        "own class for y.",
        np.concatenate([real, across], axis=1).reshape(-1, *subject.data.shape),
        rows=len(found),
        columns=model.classes + 1,
        levels=sheet_levels(subject),
        column_labels=("test", *_names(model)),
    )


# Images


def _across_classes(subject: Subject, model: HasStyle, z: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """``[n * classes, C, H, W]`` in a sheet's levels: every class for each of ``z [n, style_dim]``."""
    y = torch.arange(model.classes).repeat(len(z))
    return _decoded(subject, model, z.repeat_interleave(model.classes, 0), y)


def _decoded(subject: Subject, model: HasStyle, z: Tensor, y: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    assert isinstance(model, torch.nn.Module)
    like = next(model.parameters())
    return levels_of(subject, model.decode_given(z.to(like), y.to(like.device)))


def _labels(subject: Subject) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(subject.data.labels("test")).astype(np.int64)


def _names(model: HasStyle) -> tuple[str, ...]:
    return tuple(str(label) for label in range(model.classes))
