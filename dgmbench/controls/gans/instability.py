"""How often the training of a GAN succeeds, and how far its quality spreads over seeds, by objective.

One small GAN of perceptrons is trained from many seeds under each objective, everything else alike: one step
size, as many discriminator steps, dropout in the discriminator, no average of parameters. Only what
belongs to an objective comes with it: the penalty, or the spectral norm. A run ends as

- diverged or collapsed, as the training itself reports (see `Adversarial.collapse`);
- classes dropped: fewer classes than a share of the data's are among its samples;
- poor: its domain FID is no better than that of a fitted linear model (PPCA), on the same images;
- success: none of these.

All is measured on validation images, since the dropout and the claim were settled on trainings seen before,
of other seeds. Nothing is chosen by these numbers. Trainings are kept until all are done, so that a stopped
control goes on.
"""

from __future__ import annotations

import math
import shutil
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from dgmbench.claims.claim import Verdict, judge
from dgmbench.controls.asking import found_by, given
from dgmbench.controls.control import (
    Context,
    Control,
    ControlSettings,
    Curve,
    Finding,
    Panel,
)
from dgmbench.controls.gans.trainings import (
    OUTCOMES,
    SCORES,
    Training,
    difference,
    fid_panel,
    measured,
    mixed,
    rate_panel,
    sheets,
    successes,
    table,
    title,
)
from dgmbench.controls.instruments import fit_ppca
from dgmbench.data.pixels import quantise
from dgmbench.evaluation.quality.class_coverage import coverage_of_classes
from dgmbench.evaluation.quality.in_features import domain_fid
from dgmbench.files import sha256_json
from dgmbench.models.adversarial.gan import GAN, GANSettings
from dgmbench.models.adversarial.objectives import Objective
from dgmbench.results import Record
from dgmbench.settings.block import Distinct, FirstSeed
from dgmbench.statistics import wilson_interval
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples
from dgmbench.training.outcome import How
from dgmbench.training.runs import CHECKPOINTS, training_code
from dgmbench.training.seeding import initialising

# What is claimed to succeed more often than what, and which other pair is reported: the losses of one game.
CLAIMED: tuple[Objective, Objective] = ("wasserstein_gp", "non_saturating")
REPORTED: tuple[Objective, Objective] = ("non_saturating", "minimax")
# What belongs to an objective.
OWN: dict[Objective, dict[str, Any]] = {
    "hinge": {"discriminator_norm": "spectral"},
}
REFERENCE = "ppca"
# Sample sets of the reference, which has a spread of its own.
DRAWS = 10


class GANInstabilitySettings(ControlSettings):
    """The GAN and how often it is trained."""

    seeds: int = Field(10, ge=2, description="trainings under each objective")
    # 0 to 9 were seen when the claim and the dropout were settled on; these were not.
    first_seed: FirstSeed = Field(10, description="the seed of the first training, counted up from there")
    objectives: Distinct[Objective] = Field(list(get_args(Objective)), min_length=2)
    latent_dim: PositiveInt = Field(32, description="dimensions of z")
    hidden: list[PositiveInt] = Field([128, 128], min_length=1, description="widths of both networks")
    discriminator_steps: PositiveInt = Field(2, description="k, to each of the generator's")
    dropout: float = Field(0.3, ge=0, lt=1, description="in the discriminator")
    epochs: PositiveInt = Field(100, description="passes over the training images")
    batch_size: PositiveInt = Field(64, description="images of a step")
    learning_rate: PositiveFloat = Field(1e-3, description="Adam's step size of both networks")
    samples: int = Field(1000, ge=2, description="of each trained generator")
    least_classes: float = Field(0.8, gt=0, le=1, description="share of the classes that has to be drawn")
    latent_dims: list[PositiveInt] = Field([10, 20, 30, 40, 50], min_length=1, description="of the PPCA")


class GANInstability(Control[GANInstabilitySettings]):
    """The same GAN from many seeds."""

    Settings = GANInstabilitySettings
    title = "GANs: how often a training succeeds"
    claim = (
        "A GAN's training is unstable: from one seed to the next the same settings succeed or fail. The "
        "Wasserstein loss with gradient penalty succeeds more often than the non-saturating one."
    )
    source = (
        "Radford et al. 2015, section 1 (instability); Gulrajani et al. 2017, section 5 (the penalty); Lucic "
        "et al. 2018, section 6 (spread over seeds)"
    )
    needs_labels = True

    def run(self, context: Context) -> Finding:
        """Train every objective from every seed."""
        context.lap()
        folder = CHECKPOINTS / context.data.name / f"control-{context.control}"
        examples = context.examples()
        reference = self._reference(context)
        found: dict[Objective, list[Training]] = {name: [] for name in self.settings.objectives}
        first = self.settings.first_seed
        for objective, runs in found.items():
            for seed in range(first, first + self.settings.seeds):
                runs.append(self._train(context, examples, objective, seed, reference, folder))
        shutil.rmtree(folder, ignore_errors=True)
        outcome = self._judge(found)
        panels = [self._outcome_panel(found), rate_panel(found), fid_panel(found, reference)]
        return Finding(outcome, self._sentence(found, reference), self._records(context, found, reference),
                       panels, sheets(found, context.data.levels), table(found))  # fmt: skip

    # Trainings

    def _reference(self, context: Context) -> float:
        """Domain FID of PPCA's samples, the mean of several draws of them."""
        train_images, valid = context.dequantised("train"), context.dequantised("valid")
        model = fit_ppca(context, self.settings.latent_dims, train_images, valid)
        noise = context.generator("sample", REFERENCE)
        drawn = [model.sample(self.settings.samples, noise) for _ in range(DRAWS)]
        levels = [quantise(images, context.data.levels).cpu() for images in drawn]
        return statistics.fmean(
            record.value
            for images in levels
            for record in found_by(given(context, images, REFERENCE, against="valid"), SCORES[:1], domain_fid)
        )

    def _train(
        self,
        context: Context,
        examples: Examples,
        objective: Objective,
        seed: int,
        reference: float,
        folder: Path,
    ) -> Training:
        settings = self._settings(objective)
        with initialising("control", context.control, context.seed, objective, seed):
            model = GAN(settings, context.data.schema)
        fingerprint = {"settings": settings.model_dump(mode="json"), "seed": [context.seed, seed],
                       "device": context.device.type,
                       "data": context.data.sha256, "code": training_code("gan")}  # fmt: skip
        how = How(
            context.device,
            checkpoint=folder / f"{objective}-{seed}.ckpt",
            fingerprint=sha256_json(fingerprint),
            label=f"{context.control}: {objective} {seed}",
        )
        ended = train(model, examples, settings.training, context.seed + seed, how)
        seconds = context.lap()
        with torch.no_grad():
            drawn = model.sample(self.settings.samples, context.generator("sample", objective, seed))
        if not bool(torch.isfinite(drawn).all()):
            return Training("diverged", None, None, None, None, seconds)
        samples = model.view.decode(drawn).cpu()
        return self._score(context, objective, samples, ended.status, reference, seconds)

    def _settings(self, objective: Objective) -> GANSettings:
        settings = self.settings
        training = {"epochs": settings.epochs, "batch_size": settings.batch_size,
                    "learning_rate": settings.learning_rate}  # fmt: skip
        return GANSettings.model_validate(
            {"family": "gan", "view": "gray", "latent_dim": settings.latent_dim, "objective": objective,
             "generator_hidden": settings.hidden, "discriminator_hidden": settings.hidden,
             "dropout": settings.dropout, "discriminator_steps": settings.discriminator_steps,
             "training": training, **OWN.get(objective, {})}
        )  # fmt: skip

    def _score(
        self,
        context: Context,
        objective: Objective,
        samples: Tensor,
        status: str,
        reference: float,
        seconds: float,
    ) -> Training:
        """Even of a training that failed, as far as it can be drawn from."""
        asked = given(context, samples, objective, against="valid")
        found = found_by(asked, SCORES, domain_fid, coverage_of_classes)
        distance, effective, coverage = (record.value for record in found)
        outcome = status
        if status == "completed":
            outcome = "success" if distance < reference else "poor"
            if coverage < self.settings.least_classes:
                outcome = "classes dropped"
        return Training(outcome, distance, effective, coverage, samples, seconds)

    # What comes of it

    def _judge(self, found: Mapping[Objective, Sequence[Training]]) -> Verdict:
        """Under some objective trainings both succeed and fail, and the claimed one succeeds more often."""
        parts = [max((mixed(runs) for runs in found.values()), key=lambda part: part.low)]
        if found.keys() >= set(CLAIMED):
            parts.append(difference(found, CLAIMED))
        return judge(parts)

    def _sentence(self, found: Mapping[Objective, Sequence[Training]], reference: float) -> str:
        said = (
            f"With {self.settings.discriminator_steps} discriminator steps to one of the generator, of "
            f"{self.settings.seeds} seeds succeed (drawing all but a few classes, with a domain FID to "
            f"validation images below PPCA's {reference:.1f}): "
            f"{'; '.join(self._said(name, runs) for name, runs in found.items())}."
        )
        for pair in (CLAIMED, REPORTED):
            if found.keys() >= set(pair):
                share = difference(found, pair)
                said += (
                    f" {title(pair[0]).capitalize()} less {title(pair[1])}: {100 * share.mean:+z.0f} ± "
                    f"{100 * share.half:.0f} percentage points."
                )
        return said

    def _said(self, objective: Objective, runs: Sequence[Training]) -> str:
        rate = wilson_interval(successes(runs), len(runs))
        ends = f"{100 * rate.low:.0f} to {100 * rate.high:.0f} %"
        values = [run.fid for run in runs if run.fid is not None]
        others = Counter(run.outcome for run in runs if run.outcome != "success")
        said = f"{title(objective)} {successes(runs)} (95 % over runs: {ends})"
        if values:
            said += f", FID {min(values):.1f} to {max(values):.1f}, median {statistics.median(values):.1f}"
        return said + "".join(f", {count} {name}" for name, count in others.items())

    def _records(
        self, context: Context, found: Mapping[Objective, Sequence[Training]], reference: float
    ) -> list[Record]:
        """For each training what was measured of it; for each objective the rate of every outcome."""
        n = self.settings.samples
        rows = [context.record(REFERENCE, "fid_domain", reference, n=n, unit="1", kind="estimate")]
        for objective, runs in found.items():
            for seed, run in enumerate(runs, self.settings.first_seed):
                rows += measured(context, objective, context.seed + seed, run, n)
            for outcome in OUTCOMES:
                rate = sum(run.outcome == outcome for run in runs) / len(runs)
                error = math.sqrt(rate * (1 - rate) / len(runs))
                name = f"rate_{outcome.replace(' ', '_')}"
                rows.append(
                    context.record(objective, name, rate, error, n=len(runs), unit="1", kind="estimate")
                )
        return rows

    def _outcome_panel(self, found: Mapping[Objective, Sequence[Training]]) -> Panel:
        places = [float(place) for place in range(len(found))]
        curves = [
            Curve(
                outcome,
                places,
                [float(sum(run.outcome == outcome for run in runs)) for runs in found.values()],
            )
            for outcome in OUTCOMES
        ]
        return Panel("How trainings ended", "", f"trainings of {self.settings.seeds}", curves,
                     x_names=[title(name) for name in found], stacked=True)  # fmt: skip
