"""Parzen windows miss the truth, and rank a far worse model above it (Theis et al. 2016, section 3.5).

A Gaussian fitted to the data is declared the truth: points drawn from it have a known log-likelihood, so that
the Parzen estimate from its own samples can be checked. Its rival is a mixture of narrow Gaussians at
k-means centres, whose likelihood is known as well: far worse in truth, better by Parzen.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from dgmbench.claims.claim import judge
from dgmbench.controls.control import Context, Control, Curve, Finding, Panel, Sheet
from dgmbench.controls.instruments import SHOWN, GridSettings, ParzenScore, exact_record, fit_ppca, k_means
from dgmbench.controls.likelihoods.parzen_duel import RIVAL, TRUTH, Duel, Mixture, Points, Scorer
from dgmbench.data.pixels import quantise
from dgmbench.errors import SettingsError
from dgmbench.models.baselines.ppca import PPCA
from dgmbench.models.capabilities import CanSample
from dgmbench.statistics import Interval, mean_interval

TITLES = {TRUTH: "truth (PPCA)", RIVAL: "k-means mixture"}


class ParzenTruthSettings(GridSettings):
    """The truth, the number of its samples, and its rival."""

    latent_dims: list[PositiveInt] = Field(
        [50, 100, 200, 300, 400], min_length=1, description="of the PPCA that is the truth; chosen on valid"
    )
    patch: PositiveInt | None = Field(None, description="edge of the central patch; null: the whole image")
    largest: int = Field(100_000, ge=100, description="most samples of the truth; powers of ten on its curve")
    material: PositiveFloat = Field(
        1.0, description="nats by which an estimate must be off to miss the truth"
    )
    rival_components: PositiveInt = Field(300, description="Gaussians of the rival, at k-means centres")
    rival_width: PositiveFloat = Field(0.08, description="their standard deviation, in pixel units")
    rival_points: PositiveInt = Field(10_000, description="draws of the truth that k-means is fitted to")
    rival_samples: PositiveInt = Field(10_000, description="samples of truth and rival in their comparison")
    iterations: PositiveInt = Field(20, description="passes of k-means")
    repetitions: PositiveInt = Field(3, description="draws of those samples")


class ParzenTruth(Control[ParzenTruthSettings]):
    """Parzen windows compared with a known density."""

    Settings = ParzenTruthSettings
    title = "Parzen windows: against a density that is known"
    claim = (
        "Even from very many samples of the true density the Parzen estimate falls short of its "
        "log-likelihood, and a far worse model gets a better score."
    )
    source = (
        "Theis, van den Oord & Bethge 2016, section 3.5 (Evaluation based on Parzen window estimates): "
        "a Gaussian fitted to 6x6 patches, and Table 1"
    )

    def run(self, context: Context) -> Finding:
        """Score the truth at rising numbers of samples, and against its rival."""
        context.lap()
        settings = self.settings
        truth = self._truth(context)
        points = self._points(context, truth)
        records = [exact_record(context, TRUTH, points.log_prob)]
        rival = self._rival(context, truth)
        exact = {TRUTH: points.log_prob, RIVAL: rival.log_prob(points.test)}
        records.append(exact_record(context, RIVAL, exact[RIVAL]))
        models: dict[str, CanSample] = {TRUTH: truth, RIVAL: rival}
        scorer = Scorer(context, models, points, settings.grid)
        curve = {size: scorer.score(TRUTH, size) for size in self._sizes()}
        duel = Duel(exact, {name: self._repeated(scorer, name) for name in models})
        short = mean_interval((points.log_prob - curve[settings.largest].values)[None])
        return Finding(
            judge(
                [part.less(settings.material) for part in (short, duel.truly_behind)] + [duel.parzen_ahead]
            ),
            self._sentence(truth, short, float(points.log_prob.mean()), duel),
            records + scorer.records,
            [_curve_panel(curve, points), *_duel_panels(duel, settings.rival_samples)],
            _sheets(context, models),
        )

    def _repeated(self, scorer: Scorer, name: str) -> Tensor:
        scores = [
            scorer.score(name, self.settings.rival_samples, repetition)
            for repetition in range(self.settings.repetitions)
        ]
        return torch.stack([score.values for score in scores])

    def _sizes(self) -> list[int]:
        """100, 1000, ... up to `largest`, which is the last."""
        decades = int(math.log10(self.settings.largest) + 1e-9)
        return sorted({10**power for power in range(2, decades + 1)} | {self.settings.largest})

    def _truth(self, context: Context) -> PPCA:
        train, valid = (self._patch(context.dequantised(split)) for split in ("train", "valid"))
        return fit_ppca(context, self.settings.latent_dims, train, valid)

    def _patch(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        edge = self.settings.patch
        if edge is None:
            return images
        if edge > min(height, width):
            raise SettingsError(f"patch: {edge} is beyond the image's {height}x{width} pixels")
        top, left = (height - edge) // 2, (width - edge) // 2
        return images[..., top : top + edge, left : left + edge]

    def _points(self, context: Context, truth: PPCA) -> Points:
        valid = truth.sample(self.settings.valid_points, context.generator("valid"))
        test = truth.sample(self.settings.test_points, context.generator("test"))
        return Points(valid, test, truth.log_prob(test).cpu())

    def _rival(self, context: Context, truth: PPCA) -> Mixture:
        draws = truth.sample(self.settings.rival_points, context.generator("rival"))
        k, seed = self.settings.rival_components, context.sklearn_seed("rival")
        # k-means in float32: half the time, and its rounding moves no centre by a pixel's level.
        centres = k_means(draws.flatten(1).float(), k, seed, self.settings.iterations).double()
        return Mixture(centres.reshape(-1, *draws.shape[1:]), self.settings.rival_width)

    def _sentence(self, truth: PPCA, short: Interval, true_mean: float, duel: Duel) -> str:
        settings = self.settings
        return (
            f"In {truth.dims} dimensions, {settings.largest:,} samples of the truth give a Parzen estimate "
            f"{short.words('below', 'above')} its log-likelihood of {true_mean:,.1f}; a mixture of "
            f"{settings.rival_components} Gaussians of width {settings.rival_width:g} that is "
            f"{duel.truly_behind.words('worse', 'better')} than the truth scores "
            f"{duel.parzen_ahead.words('above', 'below')} it at {settings.rival_samples:,} samples."
        )


def _curve_panel(curve: dict[int, ParzenScore], points: Points) -> Panel:
    intervals = [mean_interval(score.values[None]) for score in curve.values()]
    line = Curve.of("Parzen estimate (95 % over test points)", [float(size) for size in curve], intervals)
    levels = {"true log-likelihood": float(points.log_prob.mean())}
    return Panel("Parzen from samples of the truth", "samples", "nats", [line], levels, log_x=True)


def _duel_panels(duel: Duel, size: int) -> list[Panel]:
    """Both models under both measures, each on its own scale."""
    names, places = list(TITLES.values()), [0.0, 1.0]
    measures = {"Exact log-likelihood": duel.exact, f"Parzen score at {size:,} samples": duel.parzen}
    panels = []
    for title, values in measures.items():
        means = [float(values[model].mean()) for model in TITLES]
        panels.append(Panel(title, "", "nats", [Curve(title, places, means)], x_names=names))
    return panels


def _sheets(context: Context, models: dict[str, CanSample]) -> list[Sheet]:
    levels = context.data.levels
    sheets = []
    for name, model in models.items():
        draws = quantise(model.sample(SHOWN, context.generator("sheet", name)), levels)
        sheets.append(Sheet(f"Samples of the {TITLES[name]}", draws.cpu().numpy(), levels))
    return sheets
