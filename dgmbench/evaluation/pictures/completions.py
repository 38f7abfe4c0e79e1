"""Pictures of completion: what a model draws where part of a test image is hidden.

For every model that can fill in pixels. The sheet is written where the latent pictures are, in their form,
and measures nothing. An autoregressive model draws a hidden pixel from what comes before it in raster order:
all that is given if the lower part is hidden, and not what is given to the right of it or below.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.pictures.sheets import LatentSheet, write_sheets
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import CanComplete
from dgmbench.results import Record
from dgmbench.training.seeding import generator_for

# Test images for each hidden region, and completions of each.
IMAGES, DRAWS = 2, 8
# Of the 256 levels of a sheet: what a hidden pixel is shown as.
HIDDEN = 128


@measure(needs=(CanComplete,), first_seed=True)
def completions(subject: Subject, folder: Path) -> Iterator[Record]:
    """Write ``completion-<seed>.npz`` and ``.json`` of the first finished seed; yields no records."""
    write_sheets(folder, f"completion-{subject.run.info['seed']}", [completion_sheet(subject)])
    return iter(())


def regions(height: int, width: int) -> dict[str, Tensor]:
    """By name, the pixels that are given: bool ``[height, width]``."""
    names = ("lower half", "right half", "centre")
    given = {name: torch.ones((height, width), dtype=torch.bool) for name in names}
    given["lower half"][height // 2 :] = False
    given["right half"][:, width // 2 :] = False
    given["centre"][height // 4 : height - height // 4, width // 4 : width - width // 4] = False
    return given


def completion_sheet(subject: Subject) -> LatentSheet:
    """For each region and test image a row: the image, what is given of it, and draws of the rest."""
    named = regions(*subject.data.shape[1:])
    count = min(IMAGES, len(subject.raw("test", IMAGES * len(named))) // len(named))
    images = subject.raw("test", count * len(named)).split(count)
    rows = [
        _row(subject, image, given, place)
        for place, (given, group) in enumerate(zip(named.values(), images, strict=True))
        for image in group
    ]
    return LatentSheet(
        "completions",
        "Completions",
        "A test image, what is given of it (the rest is gray), and images with the rest drawn by the model. "
        "A pixel is drawn from those before it, row by row: what is given to its right or below is unseen.",
        np.concatenate(rows),
        rows=len(rows),
        columns=2 + DRAWS,
        levels=256,
        row_labels=tuple(name for name in named for _ in range(count)),
        column_labels=("test", "given", *(str(1 + draw) for draw in range(DRAWS))),
    )


def _row(subject: Subject, image: Tensor, given: Tensor, place: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """``[2 + DRAWS, C, H, W]`` of one discrete ``image [C, H, W]``."""
    model = subject.run.model
    assert isinstance(model, CanComplete)
    noise = generator_for("complete", place, subject.settings.seed, device=subject.device)
    x = image.expand(DRAWS, *image.shape).to(subject.device)
    drawn = model.complete(subject.view.encode(x), given.to(subject.device), noise)
    filled = subject.view.decode(drawn).cpu()
    shown = _bytes(subject.view.display(torch.cat([image[None], image[None], filled])))
    shown[1] = torch.where(given, shown[1], HIDDEN)
    return shown.numpy()


def _bytes(images: Tensor) -> Tensor:
    return (images * 255).round().to(torch.uint8)
