"""Parzen windows rank k-means centres above real images (Theis, van den Oord & Bethge 2016, Table 1).

The score of m samples is that of a mixture of m Gaussians centred at them. Nothing rewards samples for coming
from the distribution, and real images are not the best places for m Gaussians: centres of clusters are
better, though they are blurs and no samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from dgmbench.claims.claim import judge
from dgmbench.controls.control import Context, Control, Curve, Finding, Panel, Sheet
from dgmbench.controls.instruments import SHOWN, GridSettings, ParzenScore, k_means, parzen_score
from dgmbench.data.pixels import quantise
from dgmbench.results import Record
from dgmbench.settings.block import Distinct
from dgmbench.statistics import Interval, mean_interval, student_interval


class ParzenKMeansSettings(GridSettings):
    """How many kernels, how often, and how long k-means runs."""

    sizes: Distinct[PositiveInt] = Field(
        [100, 1000, 3000], min_length=1, description="m; one beyond the training images stands for all"
    )
    repetitions: int = Field(3, ge=2, description="k-means starts, and draws of training images, per m")
    iterations: PositiveInt = Field(10, description="passes of k-means over the training images")


@dataclass(frozen=True)
class _Contest:
    """Both kinds of kernel centres at one m: scores by repetition, and a few centres of each kind."""

    size: int
    shown: Mapping[str, Tensor]
    k_means: Sequence[ParzenScore]
    training: Sequence[ParzenScore]
    records: Sequence[Record]

    @property
    def gain(self) -> Interval:
        """Nats by which k-means centres lead."""
        ours, theirs = (torch.stack([s.values for s in kind]) for kind in (self.k_means, self.training))
        return mean_interval(ours - theirs)


class ParzenKMeans(Control[ParzenKMeansSettings]):
    """k-means centres against as many real training images, both as Parzen samples."""

    Settings = ParzenKMeansSettings
    title = "Parzen windows: k-means centres against real images"
    claim = (
        "At every number of samples, k-means centres of the training images get a better Parzen score than "
        "as many real training images."
    )
    source = (
        "Theis, van den Oord & Bethge 2016, section 3.5 (Evaluation based on Parzen window estimates) "
        "and Table 1"
    )

    def run(self, context: Context) -> Finding:
        """Score both kinds of centres at every m."""
        context.lap()
        train = context.dequantised("train")
        sizes = sorted({min(size, len(train)) for size in self.settings.sizes})
        contests = [self._contest(context, train, size) for size in sizes]
        # With a centre for every image the two are the same points, so that m tests nothing.
        tested = [contest for contest in contests if contest.size < len(train)]
        return Finding(
            judge([contest.gain for contest in tested]),
            _sentence(contests, len(train)),
            [record for contest in contests for record in contest.records],
            [_panel(contests)],
            _sheets(context, (tested or contests)),
        )

    def _contest(self, context: Context, train: Tensor, size: int) -> _Contest:
        settings = self.settings
        valid = context.dequantised("valid", settings.valid_points)
        test = context.dequantised("test", settings.test_points)
        scores: dict[str, list[ParzenScore]] = {"kmeans": [], "train": []}
        shown: dict[str, Tensor] = {}
        records: list[Record] = []
        for repetition in range(settings.repetitions):
            for kind, centres in self._centres(context, train, size, repetition).items():
                score = parzen_score(context, centres, valid, test, settings.grid)
                scores[kind].append(score)
                records += score.records(context, f"{kind}_{size}", context.seed + repetition)
                shown.setdefault(kind, centres[:SHOWN])
        return _Contest(size, shown, scores["kmeans"], scores["train"], records)

    def _centres(self, context: Context, train: Tensor, size: int, repetition: int) -> dict[str, Tensor]:
        """Kernel centres ``[size, C, H, W]`` of both kinds."""
        seed = context.sklearn_seed("kmeans", size, repetition)
        centres = k_means(train.flatten(1), size, seed, self.settings.iterations)
        rows = context.rng("train", size, repetition).permutation(len(train))[:size]
        return {"kmeans": centres.reshape(-1, *train.shape[1:]), "train": train[torch.from_numpy(rows)]}


def _sentence(contests: Sequence[_Contest], n_train: int) -> str:
    gains = []
    for contest in contests:
        which = f"at all {n_train:,}" if contest.size == n_train else f"at {contest.size:,}"
        # z: a difference of -1e-15 is shown as +0.0.
        gains.append(f"{contest.gain.mean:+z.1f} ± {contest.gain.half:.1f} {which}")
    return (
        f"Parzen score of k-means centres less that of as many training images, in nats: {', '.join(gains)}."
    )


def _panel(contests: Sequence[_Contest]) -> Panel:
    sizes = [float(contest.size) for contest in contests]
    curves = [
        Curve.of("k-means centres", sizes, [_over_repetitions(contest.k_means) for contest in contests]),
        Curve.of("training images", sizes, [_over_repetitions(contest.training) for contest in contests]),
    ]
    title = "Parzen score of the test images"
    return Panel(title, "kernel centres m", "nats (mean, 95 % over repetitions)", curves, log_x=True)


def _over_repetitions(scores: Sequence[ParzenScore]) -> Interval:
    found = student_interval([score.mean for score in scores])
    return found if found.is_known else Interval(found.mean, 0.0)


def _sheets(context: Context, contests: Sequence[_Contest]) -> list[Sheet]:
    """The centres of the m where they lead most, and the images that they beat."""
    best = max(contests, key=lambda contest: contest.gain.mean)
    levels = context.data.levels
    shown = {
        f"Of {best.size:,} k-means centres ({best.k_means[0].mean:.1f} nats)": best.shown["kmeans"],
        f"Of {best.size:,} training images ({best.training[0].mean:.1f} nats)": best.shown["train"],
    }
    return [Sheet(title, quantise(images.cpu(), levels).numpy(), levels) for title, images in shown.items()]
