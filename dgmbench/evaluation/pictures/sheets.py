"""Sheets of images decoded from a latent space: the images in a sheet's levels, and how they are written."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from dgmbench.evaluation.arrays import save_arrays
from dgmbench.evaluation.spaces.latent_geometry import Codes
from dgmbench.evaluation.spaces.latents import Decoder
from dgmbench.evaluation.subject import Subject
from dgmbench.files import write_json

# Latents that are decoded at once.
BLOCK = 500


@dataclass(frozen=True)
class LatentSheet:
    """Images in rows, and the words around them.

    images: uint8 ``[rows * columns, C, H, W]`` of 0..levels-1, row by row. row_labels, column_labels: one
    each, or none at all.
    """

    role: str
    title: str
    caption: str
    images: np.ndarray[Any, np.dtype[np.uint8]]
    rows: int
    columns: int
    levels: int
    row_labels: tuple[str, ...] = ()
    column_labels: tuple[str, ...] = ()


def write_sheets(folder: Path, stem: str, sheets: Sequence[LatentSheet]) -> None:
    """``<stem>.npz``, the images by role, and ``<stem>.json``, the words around them."""
    save_arrays(folder / f"{stem}.npz", **{sheet.role: sheet.images for sheet in sheets})
    write_json(folder / f"{stem}.json", [_words(sheet) for sheet in sheets])


def _words(sheet: LatentSheet) -> dict[str, Any]:
    words = asdict(sheet)
    return {field.name: words[field.name] for field in fields(sheet) if field.name != "images"}


def sheet_levels(subject: Subject) -> int:
    """Levels of a sheet: those of gray images, and 256 for the probabilities of binary ones."""
    return 256 if subject.view.is_binary else subject.levels


def levels_of(subject: Subject, images: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Intensities in [0, 1] as a sheet's levels; a mean outside, as a linear model has, at the end."""
    if not bool(torch.isfinite(images).all()):
        raise ValueError("there are decoded images that are not finite")
    top = sheet_levels(subject) - 1
    return (images.double() * top).round().clamp(0, top).to(torch.uint8).cpu().numpy()


def decoded_images(subject: Subject, codes: Codes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Mean images of ``codes [n, latent]`` in a sheet's levels."""
    model = cast(Decoder, subject.run.model)
    with torch.no_grad():
        z = for_model(model, torch.from_numpy(np.ascontiguousarray(codes)))
        images = torch.cat([model.decode(part) for part in z.split(BLOCK)])
    return levels_of(subject, images)


def for_model(model: object, z: Tensor) -> Tensor:
    """`z` on the device of the model and in its precision."""
    assert isinstance(model, torch.nn.Module)
    tensors = itertools.chain(model.parameters(), model.buffers())
    like = next(tensor for tensor in tensors if tensor.is_floating_point())
    return z.to(like)
