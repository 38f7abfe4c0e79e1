"""Draws beside their mean images E[x|z], for every model that draws pixels around a mean.

A draw of p(x|z) carries the observation noise of every pixel by itself. A likelihood needs that noise; a
reader who sees nothing else takes the model for broken. So the first samples of a run are drawn again, by the
generator that drew them, and the mean images of their very latents are kept beside them. Where they do not
come out the same (another device has another stream of random numbers), the draws are new ones, and the words
say so. The sheets measure nothing.

A model that draws no noise (a GAN, an auto-encoder in gray) has samples that are mean images already.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.pictures.sheets import LatentSheet, levels_of, sheet_levels, write_sheets
from dgmbench.evaluation.subject import Subject
from dgmbench.results import Record
from dgmbench.training.seeding import generator_for

# Images of each sheet, and to a row: as many as the sheet of a model's samples has.
SHOWN, COLUMNS = 36, 6
# Draws are the samples if so much of the pixels agrees: processors differ in a last digit here and there.
AGREEMENT = 0.99


@runtime_checkable
class DrawsAroundMeans(Protocol):
    """A latent is drawn, then an image around the mean image of it; `sample` is the one after the other."""

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws of p(z), ``[n, ...]``: of latents, or of a mixture's components."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Mean images of p(x|z), ``[n, C, H, W]``."""
        ...

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x|z)."""
        ...


@runtime_checkable
class DrawsAroundMeansGiven(Protocol):
    """The same given a class; `sample_given` is the one after the other."""

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws of p(z), ``[n, ...]``."""
        ...

    def decode_given(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean images of p(x|z, y), ``[n, C, H, W]``, for classes ``y [n]``."""
        ...

    def decoder_sample_given(self, z: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x|z, y)."""
        ...


@measure(needs=((DrawsAroundMeans, DrawsAroundMeansGiven),), first_seed=True)
def mean_pictures(subject: Subject, folder: Path) -> Iterator[Record]:
    """Write ``means-<seed>.npz`` and ``.json`` of the first finished seed; yields no records."""
    write_sheets(folder, f"means-{subject.run.info['seed']}", mean_sheets(subject))
    return iter(())


def mean_sheets(subject: Subject) -> list[LatentSheet]:
    """The draws, and in the same order their mean images."""
    info = subject.run.info
    size = min(info["sampling"]["batch_size"], info["n_samples"])
    draws, means = draws_and_means(subject, size)
    saved = torch.from_numpy(subject.run.samples()[:size].copy())
    same = float((draws == saved).double().mean()) > AGREEMENT
    shown = (saved if same else draws)[:SHOWN].to(torch.uint8).numpy()
    which = "The first samples of the run" if same else "New draws, not the samples that were scored"
    count = len(shown)
    rows, columns = -(-count // COLUMNS), min(COLUMNS, count)
    return [
        LatentSheet("draws", "Draws of p(x|z)", f"{which}, with the model's noise in every pixel.",
                    shown, rows, columns, subject.levels),
        LatentSheet("means", "Mean images E[x|z]", "Of the same latents, in the same order, without noise.",
                    levels_of(subject, means[:SHOWN]), rows, columns, sheet_levels(subject)),
    ]  # fmt: skip


def draws_and_means(subject: Subject, n: int) -> tuple[Tensor, Tensor]:
    """``[n, C, H, W]`` draws as the view observes them, and their mean images, by the samples' generator.

    n: images of the first batch of samples, for a generator's stream depends on how many it draws at once.
    """
    model = subject.run.model
    noise = generator_for("sample", subject.run.info["seed"], device=subject.device)
    with torch.no_grad():
        if isinstance(model, DrawsAroundMeansGiven):
            given = subject.run.conditions()
            assert given is not None
            y = torch.from_numpy(given[:n].copy()).to(subject.device)
            z = model.prior_sample(n, noise)
            means, draws = model.decode_given(z, y), model.decoder_sample_given(z, y, noise)
        else:
            assert isinstance(model, DrawsAroundMeans)
            z = model.prior_sample(n, noise)
            means, draws = model.decode(z), model.decoder_sample(z, noise)
    return subject.view.decode(draws).cpu(), means.cpu()
