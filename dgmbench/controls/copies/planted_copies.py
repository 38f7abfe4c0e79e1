"""Copies of training images planted among unseen ones: which score notices, and what else alarms it.

The ideal sample is unseen data. Held-out images are split at random into samples and reference, again and
again; over these splits a score varies as it does for a perfect model, and its 5 % tail is where it raises
the alarm. Then part of the samples, or all, gives way to copies, to copies moved by a pixel, to as many
images without one class, to noise. Alaa et al. 2022 and Meehan et al. 2020 plant copies likewise; Stein et
al. 2023 (section 5) report that such scores miss memorisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, PositiveInt, field_validator
from torch import Tensor

from dgmbench.claims.claim import judge
from dgmbench.controls.control import Context, Control, ControlSettings, Finding, Sheet
from dgmbench.controls.copies.copy_scores import (
    FID,
    NAMES,
    QUALITY,
    UNDER_SHIFTS,
    Source,
    Space,
    look,
    scores,
)
from dgmbench.controls.copies.copy_trials import (
    COPIES,
    DROPPED,
    FALSE_ALARMS,
    HELDOUT,
    NOISE,
    SHIFTED,
    Trials,
    case_name,
    panels,
    records,
)
from dgmbench.controls.copies.pixel_shift import shifted
from dgmbench.controls.instruments import SHOWN
from dgmbench.data.pixels import intensity
from dgmbench.evaluation.copies.copying import Cells
from dgmbench.settings.block import Distinct
from dgmbench.statistics import Interval

# Fewer samples decide nothing.
FEWEST = 30

Share = Annotated[float, Field(ge=0, le=1)]


class PlantedCopiesSettings(ControlSettings):
    """The ladder of copies, and how often it is climbed."""

    shares: Distinct[Share] = Field(
        [0.0, 0.01, 0.05, 0.2, 1.0], min_length=2, description="copies among samples"
    )
    samples: int = Field(
        300, ge=30, description="at most half of the held-out images less the class that is left out"
    )
    repetitions: int = Field(100, ge=20, description="random splits of the held-out images")
    cells: PositiveInt = Field(10, description="k-means cells of C_T")
    dropped: int = Field(0, ge=0, description="the class that is left out")
    detected: float = Field(80.0, gt=5, lt=100, description="percent of splits from which a score notices")

    @field_validator("shares")
    @classmethod
    def _from_none_to_all(cls, shares: list[float]) -> list[float]:
        if 0.0 not in shares or 1.0 not in shares:
            raise ValueError("shares: they begin with 0, the ideal sample, and end with 1, copies alone")
        return sorted(set(shares))


class PlantedCopies(Control[PlantedCopiesSettings]):
    """Held-out images with copies of training images among them, under every score."""

    Settings = PlantedCopiesSettings
    title = "Copies: what the scores of memorisation notice"
    claim = (
        "The scores of memorisation miss a few copies among many samples and, unless they search under "
        "shifts, all copies that are moved by a pixel; the Fréchet distance does not even notice samples "
        "that are nothing but copies."
    )
    source = (
        "Stein et al. 2023, section 5 (current metrics do not properly detect memorization); "
        "Meehan, Chaudhuri & Dasgupta 2020; Alaa et al. 2022"
    )

    def run(self, context: Context) -> Finding:
        """Climb the ladder once for each split."""
        context.lap()
        sources = self._sources(context)
        trials = self._trials(context, sources)
        rows = records(context, trials)
        return Finding(
            judge(self._parts(trials)),
            _sentence(trials, self.settings),
            rows,
            panels(trials, self.settings.shares),
            _sheets(context, sources),
        )

    def _sources(self, context: Context) -> dict[str, Source]:
        train = context.raw("train")
        heldout = torch.cat([context.raw("valid"), context.raw("test")])
        n, _ = self._sizes(len(heldout), _labels(context))
        rows = torch.from_numpy(context.rng("copies").permutation(len(train))[: 2 * n])
        copies = train[rows]
        images = {HELDOUT: heldout, COPIES: copies, SHIFTED: shifted(copies, 1, 8)}
        noise = context.rng("noise").integers(context.data.levels, size=(n, *train.shape[1:]), dtype=np.uint8)
        images[NOISE] = torch.from_numpy(noise)
        spaces = self._spaces(context, train)
        return {name: look(context, some, spaces, train) for name, some in images.items()}

    def _spaces(self, context: Context, train: Tensor) -> list[Space]:
        trains = [train]
        if context.classifier is not None:
            trains.append(context.classifier.features(intensity(train, context.data.levels)))
        count, seed = self.settings.cells, context.sklearn_seed("cells")
        return [Space(images, Cells(images, count, seed)) for images in trains]

    def _sizes(self, heldout: int, labels: np.ndarray | None) -> tuple[int, int]:
        """Samples n, and how many more are set aside: so many that n remain without the class left out."""
        spare = 0 if labels is None else int((labels == self.settings.dropped).sum())
        # Without the class, or with hardly any other, there is no such case.
        spare = spare if heldout // 2 - spare >= FEWEST else 0
        return min(self.settings.samples, heldout // 2 - spare), spare

    def _trials(self, context: Context, sources: Mapping[str, Source]) -> Trials:
        heldout, labels = sources[HELDOUT], _labels(context)
        n, spare = self._sizes(len(heldout), labels)
        rng = context.rng("splits")
        drawn: dict[str, dict[str, list[float]]] = {}
        for _ in range(self.settings.repetitions):
            order = rng.permutation(len(heldout))
            ideal, reference = heldout[order[:n]], heldout[order[n + spare :]]
            cases = self._cases(sources, ideal, rng)
            if labels is not None and spare:
                others = order[: n + spare][labels[order[: n + spare]] != self.settings.dropped]
                cases[DROPPED] = heldout[others[:n]]
            for case, samples in cases.items():
                for score, value in scores(samples, reference).items():
                    drawn.setdefault(score, {}).setdefault(case, []).append(value)
        values = {score: {case: np.array(v) for case, v in cases.items()} for score, cases in drawn.items()}
        return Trials(values, n)

    def _cases(
        self, sources: Mapping[str, Source], ideal: Source, rng: np.random.Generator
    ) -> dict[str, Source]:
        """As many samples by case; the places that copies take are random, as are the copies."""
        n = len(ideal)
        chosen = rng.permutation(len(sources[COPIES]))[:n]
        cases = {}
        for share in self.settings.shares:
            count = round(share * n)
            cases[case_name(share)] = ideal[np.arange(count, n)] + sources[COPIES][chosen[:count]]
        cases[SHIFTED] = sources[SHIFTED][chosen]
        cases[NOISE] = sources[NOISE]
        return cases

    def _parts(self, trials: Trials) -> list[Interval]:
        """The claim: all miss the fewest copies, all but one moved copies, and FID copies alone."""
        few, limit = case_name(self.settings.shares[1]), self.settings.detected
        copying = [score for score in trials.values if score not in QUALITY]
        parts = [trials.rate(score, few).below(limit) for score in copying]
        parts += [trials.rate(score, SHIFTED).below(limit) for score in copying if score != UNDER_SHIFTS]
        if FID in trials.values:
            parts.append(trials.rate(FID, case_name(1.0)).below(limit))
        return parts


def _labels(context: Context) -> np.ndarray | None:
    """Labels of the held-out images, validation before test; None without."""
    parts = [context.data.labels(split) for split in ("valid", "test")]
    return None if any(part is None for part in parts) else np.concatenate([np.asarray(p) for p in parts])


def _sentence(trials: Trials, settings: PlantedCopiesSettings) -> str:
    noted = []
    for score in (score for score in trials.values if score == FID or score not in QUALITY):
        shares = [
            s for s in settings.shares if s and trials.flagged(score, case_name(s)) >= settings.detected
        ]
        noticed = f"from {100 * shares[0]:g} % copies on" if shares else "at no share"
        moved = trials.flagged(score, SHIFTED)
        noted.append(f"{NAMES[score]} {noticed} (moved copies: {moved:.0f} %)")
    return (
        f"At {FALSE_ALARMS:g} % false alarms, {trials.n} samples and {settings.detected:g} % of splits or "
        f"more, copies are noticed by: {'; '.join(noted)}."
    )


def _sheets(context: Context, sources: Mapping[str, Source]) -> list[Sheet]:
    titles = {"Held-out images": HELDOUT, "Copies moved by a pixel": SHIFTED, "Noise": NOISE}
    levels = context.data.levels
    return [Sheet(title, sources[name].images[:SHOWN].numpy(), levels) for title, name in titles.items()]
