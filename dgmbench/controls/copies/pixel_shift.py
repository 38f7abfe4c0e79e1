"""A shift by one pixel hides a copy from the nearest-neighbour check (Theis et al. 2016, section 3.4).

Copies of training images, moved by a pixel, stand for the samples of a model that memorises. The eye sees
copies; Euclidean distance sees images as new as unseen ones, and shows another image as the nearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt, PositiveFloat, field_validator
from torch import Tensor

from dgmbench.claims.claim import judge
from dgmbench.controls.control import Context, Control, ControlSettings, Curve, Finding, Panel, Sheet
from dgmbench.controls.instruments import SHOWN
from dgmbench.evaluation.copies.neighbours import NeighbourReport, nn_distance_ratio
from dgmbench.results import Record
from dgmbench.settings.block import Distinct
from dgmbench.statistics import Interval, agresti_coull_interval, binomial_std_error

# (down, right); the first four are the straight ones.
DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


class PixelShiftSettings(ControlSettings):
    """The copies and their shifts."""

    images: int = Field(1000, ge=2, description="training images that are copied, and held-out images")
    shifts: Distinct[NonNegativeInt] = Field(
        [0, 1, 2], min_length=1, description="pixels; 0 are plain copies"
    )
    directions: Literal[4, 8] = Field(8, description="straight ones, or diagonal ones too; in equal shares")
    passing_ratio: PositiveFloat = Field(0.9, description="distance ratio from which copies pass as unseen")

    @field_validator("shifts")
    @classmethod
    def _one_is_a_shift(cls, shifts: list[int]) -> list[int]:
        if not any(shifts):
            raise ValueError("shifts: none of them moves an image; [0, 1, 2] works")
        return sorted(set(shifts))


@dataclass(frozen=True)
class _Copies:
    """Copies under one shift: raw images, the rows that they are copies of, and what the check says."""

    shift: int
    images: Tensor
    report: NeighbourReport
    recalled: Tensor
    seconds: float

    @property
    def ratio(self) -> Interval:
        """Mean distance to training in units of that of unseen images."""
        return Interval.normal(self.report.ratio, self.report.std_error or 0.0)

    @property
    def percent_recalled(self) -> float:
        """Share of copies whose nearest training image is the one that they are copies of."""
        return 100.0 * float(self.recalled.double().mean())

    @property
    def percent_interval(self) -> Interval:
        """That share with its binomial interval, which 0 % has too."""
        found = agresti_coull_interval(float(self.recalled.sum()), len(self.recalled))
        return Interval(100 * found.mean, 100 * found.half)

    def records(self, context: Context) -> list[Record]:
        """The distance ratio and the share recalled."""
        subject, n = f"shift_{self.shift}", len(self.images)
        percent = self.percent_recalled
        return [
            context.record(
                subject, "nn_distance_ratio", self.report.ratio, self.report.std_error,
                n=n, unit="1", kind="heuristic", seconds=self.seconds,
            ),
            context.record(
                subject, "nearest_is_source", percent, binomial_std_error(percent, n),
                n=n, unit="percent", kind="exact", split="train",
            ),
        ]  # fmt: skip


class PixelShift(Control[PixelShiftSettings]):
    """Shifted training images under the nearest-neighbour check."""

    Settings = PixelShiftSettings
    title = "Nearest neighbours: copies shifted by a pixel"
    claim = (
        "A shift by one pixel defeats the nearest-neighbour check: the copies lie about as far from the "
        "training images as unseen images do, and most are nearest to another image than their own."
    )
    source = (
        "Theis, van den Oord & Bethge 2016, section 3.4 (Evaluation based on samples and nearest neighbors)"
    )

    def run(self, context: Context) -> Finding:
        """Check the copies under every shift; the smallest that moves an image decides."""
        context.lap()
        train, heldout = context.pixels("train"), context.pixels("test", self.settings.images)
        rows = torch.from_numpy(context.rng("copies").permutation(len(train))[: self.settings.images])
        checked = [self._check(context, train, heldout, rows, shift) for shift in self.settings.shifts]
        judged = next(copies for copies in checked if copies.shift > 0)
        parts = [
            judged.ratio.less(self.settings.passing_ratio),
            judged.percent_interval.below(50),
        ]
        return Finding(
            judge(parts),
            _sentence(judged),
            [record for copies in checked for record in copies.records(context)],
            _panels(checked),
            _sheets(context, rows, judged),
        )

    def _check(self, context: Context, train: Tensor, heldout: Tensor, rows: Tensor, shift: int) -> _Copies:
        settings = self.settings
        copies = shifted(train[rows], shift, settings.directions)
        report = nn_distance_ratio(copies, heldout, train)
        # By its pixels: where training images are equal, either is the source.
        recalled = (train[report.generated_indices] == train[rows]).flatten(1).all(1)
        raw = shifted(context.raw("train")[rows], shift, settings.directions)
        return _Copies(shift, raw, report, recalled, context.lap())


def shifted(images: Tensor, pixels: int, directions: int) -> Tensor:
    """``images [n, C, H, W]`` moved by so many pixels, zeros moving in; image i in direction i mod so many.

    One direction an image, so that the copies stay independent of each other; the images come at random.
    """
    height, width = images.shape[-2:]
    padded = F.pad(images, (pixels,) * 4)
    moved = []
    for i, image in enumerate(padded):
        down, right = DIRECTIONS[i % directions]
        top, left = pixels * (1 - down), pixels * (1 - right)
        moved.append(image[:, top : top + height, left : left + width])
    return torch.stack(moved)


def _sentence(copies: _Copies) -> str:
    pixels = "one pixel" if copies.shift == 1 else f"{copies.shift} pixels"
    ratio = copies.ratio
    return (
        f"Moved by {pixels}, copies of training images lie {ratio.mean:.2f} ± {ratio.half:.2f} times as far "
        f"from the training images as unseen images do, and {copies.percent_recalled:.1f} % of them are "
        f"still nearest to the image that they copy."
    )


def _panels(checked: Sequence[_Copies]) -> list[Panel]:
    shifts = [float(copies.shift) for copies in checked]
    ratio = Curve.of("copies (95 % over images)", shifts, [copies.ratio for copies in checked])
    recalled = Curve.of("copies (95 % over images)", shifts, [copies.percent_interval for copies in checked])
    return [
        Panel(
            "Distance to the nearest training image",
            "shift in pixels",
            "over that of unseen images",
            [ratio],
            {"unseen images": 1.0},
        ),
        Panel("Copies whose nearest image is their own", "shift in pixels", "percent", [recalled]),
    ]


def _sheets(context: Context, rows: Tensor, copies: _Copies) -> list[Sheet]:
    """Three sheets in one order: the images, their shifted copies, what the check shows as nearest."""
    train, levels = context.raw("train"), context.data.levels
    found = train[copies.report.generated_indices]
    sheets = {
        "Training images": train[rows],
        f"The same, moved by {copies.shift} pixel{'s' if copies.shift > 1 else ''}": copies.images,
        "Nearest training images of these": found,
    }
    return [Sheet(title, images[:SHOWN].numpy(), levels) for title, images in sheets.items()]
