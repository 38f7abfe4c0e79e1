"""How noisy gradients through random latents are: the score function, its baselines, reparameterisation.

Two auto-encoders are trained for a while on binarised images, one with Bernoulli latents (a linear sigmoid
belief net, by NVIL) and one with Gaussian ones. Then training stops: at these parameters, and for one
minibatch, the gradient in the encoder's parameters is estimated many times. Estimators of one bound
have one mean, so that their variances (summed over parameters) can be divided by each other:

- of the ELBO of Bernoulli latents: `reinforce`, and `nvil` (with the scale of its signal undone);
- of L_k of Bernoulli latents: `vimco`, and `bare`, the same without what VIMCO takes off each draw's signal;
- of the ELBO of Gaussian latents: `score`, which is REINFORCE, and `reparameterised`.

`concrete` has a mean of its own. How far that is from the ELBO's gradient, over the latter's length, is its
bias (and recorded squared). All of them get the same number of latent draws for each image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from dgmbench.claims.claim import judge
from dgmbench.controls.control import Context, Control, ControlSettings, Curve, Finding, Panel
from dgmbench.controls.gradients.noise import Estimator, Measured, measure, squared_bias
from dgmbench.data.batch import Batch
from dgmbench.data.pixels import binarise
from dgmbench.models.latent.discrete_gradients import Draws, reinforce, vimco
from dgmbench.models.latent.iwae import IWAE, IWAESettings
from dgmbench.models.latent.sigmoid_belief import SigmoidBelief, SigmoidBeliefSettings
from dgmbench.models.parts.densities import gaussian_log_prob
from dgmbench.results import Record
from dgmbench.statistics import Interval, student_interval
from dgmbench.training.seeding import initialising

# Each estimator, and the least noisy one known to have the same mean.
REFERENCES = {
    "reinforce": "nvil",
    "nvil": "nvil",
    "concrete": "concrete",
    "bare": "vimco",
    "vimco": "vimco",
    "score": "reparameterised",
    "reparameterised": "reparameterised",
}
TITLES = {
    "reinforce": "REINFORCE",
    "nvil": "NVIL",
    "concrete": "Concrete (biased)",
    "bare": "VIMCO without baselines",
    "vimco": "VIMCO",
    "score": "score function",
    "reparameterised": "reparameterised",
}
BERNOULLI, GAUSSIAN = ("reinforce", "nvil", "concrete", "bare", "vimco"), ("score", "reparameterised")
# What is claimed to be noisier than what.
CLAIMED = {"reinforce": "nvil", "bare": "vimco", "score": "reparameterised"}


class GradientVarianceSettings(ControlSettings):
    """The two models, their training, and how often a gradient is estimated."""

    units: PositiveInt = Field(50, description="Bernoulli latents")
    latent_dim: PositiveInt = Field(20, description="Gaussian latents")
    hidden: list[PositiveInt] = Field([100], description="widths of the Gaussian model's networks")
    steps: PositiveInt = Field(300, description="of training, before anything is measured")
    batch_size: PositiveInt = Field(
        100, description="images of a training step, and of the minibatch measured"
    )
    learning_rate: PositiveFloat = Field(3e-3, description="Adam's step size")
    samples: int = Field(5, ge=2, description="latent draws for each image, the same for every estimator")
    temperature: PositiveFloat = Field(0.3, description="of the Concrete relaxation")
    draws: int = Field(100, ge=10, description="estimates of each gradient")
    repetitions: int = Field(3, ge=2, description="trained models, each measured at a minibatch of its own")


class GradientVariance(Control[GradientVarianceSettings]):
    """Variance of gradient estimates at fixed parameters."""

    Settings = GradientVarianceSettings
    title = "Training: noise of gradients through random latents"
    claim = (
        "The score-function estimate of a gradient (REINFORCE) varies far more than the reparameterised one; "
        "where latents are discrete and only the score is left, baselines (NVIL, VIMCO) lower its variance."
    )
    source = (
        "Kingma & Welling 2013, section 2.2 (reparameterisation); Mnih & Gregor 2014, section 2.3 (NVIL); "
        "Mnih & Rezende 2016, section 2.5 (VIMCO)"
    )

    def run(self, context: Context) -> Finding:
        """Train, measure and compare, once for each repetition."""
        context = replace(context, view="binary")
        context.lap()
        found: list[dict[str, Measured]] = []
        records: list[Record] = []
        for repetition in range(self.settings.repetitions):
            found.append(self._repeat(context, repetition))
            records += self._records(context, found[-1], repetition)
        ratios = {
            noisy: student_interval([math.log(each[noisy].variance / each[calm].variance) for each in found])
            for noisy, calm in CLAIMED.items()
        }
        panels = [_panel("Bernoulli latents", BERNOULLI, found), _panel("Gaussian latents", GAUSSIAN, found)]
        return Finding(judge(list(ratios.values())), _sentence(ratios, found), records, panels)

    def _repeat(self, context: Context, repetition: int) -> dict[str, Measured]:
        images = context.raw("train").to(context.device)
        noise = context.generator("train", repetition)
        belief, gaussian = self._models(context, repetition)
        for model in (belief, gaussian):
            self._train(model, images, context.data.levels, noise)
        x = self._minibatch(images, context.data.levels, noise)
        estimators = self._of_bernoulli(belief, x) | self._of_gaussian(gaussian, x)
        found = {}
        for name, estimate in estimators.items():
            encoder = gaussian.posterior if name in GAUSSIAN else belief.recognition
            generator = context.generator(name, repetition)
            found[name] = measure(estimate, encoder, self.settings.draws, generator)
        return found

    def _minibatch(self, images: Tensor, levels: int, noise: torch.Generator) -> Tensor:
        """Random training images, binarised."""
        size = (self.settings.batch_size,)
        rows = torch.randint(len(images), size, generator=noise, device=images.device)
        return binarise(images[rows], levels, noise)

    def _models(self, context: Context, repetition: int) -> tuple[SigmoidBelief, IWAE]:
        settings, data = self.settings, context.data
        belief = SigmoidBeliefSettings(
            family="sigmoid_belief", view="binary", units=settings.units, estimator="nvil",
            samples=settings.samples, temperature=settings.temperature,
        )  # fmt: skip
        gaussian = IWAESettings(
            family="iwae", view="binary", latent_dims=[settings.latent_dim], hidden=settings.hidden,
            objective="vae", samples=settings.samples,
        )  # fmt: skip
        with initialising("control", context.control, context.seed, repetition):
            models = SigmoidBelief(belief, data.schema), IWAE(gaussian, data.schema)
        for model in models:
            model.use_training_mean(context.pixels("train").mean(0))
            model.to(context.device)
        return models

    def _train(
        self, model: SigmoidBelief | IWAE, images: Tensor, levels: int, noise: torch.Generator
    ) -> None:
        optimiser = torch.optim.Adam(model.parameters(), self.settings.learning_rate)
        model.train()
        for _ in range(self.settings.steps):
            optimiser.zero_grad()
            model.step(Batch(self._minibatch(images, levels, noise)), "model", noise)["loss"].backward()
            optimiser.step()
        model.eval()

    def _of_bernoulli(self, model: SigmoidBelief, x: Tensor) -> dict[str, Estimator]:
        assert model.nvil is not None
        # With a variance of zero NVIL's signal is divided by one: its mean is that of REINFORCE.
        model.nvil.variance.zero_()
        k = self.settings.samples
        return {
            "reinforce": lambda noise: model.estimate(x, "reinforce", noise).surrogate,
            "nvil": lambda noise: model.estimate(x, "nvil", noise).surrogate,
            "concrete": lambda noise: model.estimate(x, "concrete", noise).surrogate,
            "bare": lambda noise: vimco(model.draw(x, k, noise), baseline=False).surrogate,
            "vimco": lambda noise: model.estimate(x, "vimco", noise).surrogate,
        }

    def _of_gaussian(self, model: IWAE, x: Tensor) -> dict[str, Estimator]:
        k = self.settings.samples
        return {
            "score": lambda noise: reinforce(gaussian_draws(model, x, k, noise)).surrogate,
            "reparameterised": lambda noise: model.log_weights(x, k, noise).mean(),
        }

    def _records(self, context: Context, found: Mapping[str, Measured], repetition: int) -> list[Record]:
        """Each variance, summed over parameters and over the squared length of the mean; Concrete's bias."""
        seconds = context.lap() / len(found)

        def row(name: str, metric: str, value: float, std_error: float | None, seconds: float) -> Record:
            return context.record(
                name, metric, value, std_error, n=self.settings.draws, unit="1", kind="estimate",
                split="train", seed=context.seed + repetition, seconds=seconds,
            )  # fmt: skip

        rows = []
        for name, own in found.items():
            squared = found[REFERENCES[name]].squared_length
            relative, error = own.variance / squared, own.std_error / squared
            rows += [
                row(name, "gradient_variance", own.variance, own.std_error, seconds),
                row(name, "gradient_relative_variance", relative, error, 0.0),
            ]
        bias = squared_bias(found["concrete"], found["nvil"])
        return [*rows, row("concrete", "gradient_squared_bias", bias, None, 0.0)]


def gaussian_draws(model: IWAE, x: Tensor, k: int, generator: torch.Generator) -> Draws:
    """k draws of q(z|x) of a one-layer model that nothing can be differentiated through, as of discrete z."""
    mean, log_variance = model.posterior(x)
    noise = torch.randn((k, *mean.shape), generator=generator, device=x.device, dtype=mean.dtype)
    z = (mean + torch.exp(0.5 * log_variance) * noise).detach()
    log_p = [model.decoder_log_prob(x, z), model.prior_log_prob(z)]
    return Draws([z], log_p, [gaussian_log_prob(z, mean, log_variance)])


def _sentence(ratios: Mapping[str, Interval], found: Sequence[Mapping[str, Measured]]) -> str:
    listed = []
    for noisy, ratio in ratios.items():
        times, low, high = (_short(math.exp(value)) for value in (ratio.mean, ratio.low, ratio.high))
        listed.append(
            f"{TITLES[noisy]} {times} times {TITLES[CLAIMED[noisy]]} (95 % over models: {low} to {high})"
        )
    calmness = student_interval([each["concrete"].variance / each["nvil"].variance for each in found]).mean
    return (
        f"Variance of the encoder's gradient at the same parameters: {'; '.join(listed)}. Concrete's is "
        f"{calmness:.2g} times NVIL's, but {_bias_words(found)}."
    )


def _bias_words(found: Sequence[Mapping[str, Measured]]) -> str:
    squared = student_interval([squared_bias(each["concrete"], each["nvil"]) for each in found])
    middle, low, high = (
        f"{100 * math.sqrt(max(value, 0.0)):.0f} %" for value in (squared.mean, squared.low, squared.high)
    )
    if squared.low <= 0:
        ends = f"(95 % over models: below {high} of the gradient)"
        return f"its bias cannot be distinguished from 0 {ends}"
    return f"its bias is {middle} of the gradient's length (95 % over models: {low} to {high})"


def _short(value: float) -> str:
    """Three digits, without an exponent where there is no need."""
    return f"{float(f'{value:.3g}'):,g}"


def _panel(title: str, names: Sequence[str], found: Sequence[Mapping[str, Measured]]) -> Panel:
    """Tens of variance over squared mean, one row for each estimator."""
    intervals = [
        student_interval(
            [math.log10(each[name].variance / each[REFERENCES[name]].squared_length) for each in found]
        )
        for name in names
    ]
    curve = Curve.of("mean, 95 % over models", [float(place) for place in range(len(names))], intervals)
    titles = [TITLES[name] for name in names]
    return Panel(title, "", "log10 of variance / squared mean", [curve], x_names=titles)
