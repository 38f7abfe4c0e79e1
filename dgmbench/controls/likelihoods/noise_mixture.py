"""A likelihood hardly notices that nearly all samples are noise (Theis et al. 2016, section 3.2).

For q = (1 - e) p + e U with U uniform on [0, 1]^d, log q(x) >= log p(x) + log(1 - e) at every x: with 99 % of
noise a model loses at most log 100 = 4.6 nats, where models of images differ by hundreds. It may even gain,
since noise covers the images that p gave up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from dgmbench.claims.claim import judge
from dgmbench.controls.control import Context, Control, ControlSettings, Curve, Finding, Panel, Sheet
from dgmbench.controls.domain_fids import Fids, domain_fids
from dgmbench.controls.instruments import (
    SHOWN,
    exact_record,
    fit_ppca,
    replace_by_noise,
    standard_error,
    with_uniform,
)
from dgmbench.data.pixels import quantise
from dgmbench.models.baselines.ppca import PPCA
from dgmbench.results import Record
from dgmbench.settings.block import Distinct
from dgmbench.statistics import Interval, mean_interval

# Names of the model and of its rival without noise; and what rounding may add to a loss.
P, RIVAL = "ppca", "ppca_small"
ROUNDING = 1e-9

Share = Annotated[float, Field(gt=0, lt=1)]


class NoiseMixtureSettings(ControlSettings):
    """The model, how much noise it gets, and the model without noise that it is compared with."""

    latent_dims: list[PositiveInt] = Field(
        [50, 100, 200, 300, 400], min_length=1, description="of the PPCA that is p; chosen on valid"
    )
    rival_latent_dims: list[PositiveInt] = Field(
        [10], min_length=1, description="of a PPCA without noise that is compared with the mixture"
    )
    shares: Distinct[Share] = Field([0.5, 0.9, 0.99, 0.999], min_length=1, description="shares of noise e")
    judged_share: Share = Field(0.99, description="the one of them that the claim is judged at")
    fid_samples: int = Field(2000, ge=2, description="samples of each model for the domain FID")

    @model_validator(mode="after")
    def _judged_is_measured(self) -> NoiseMixtureSettings:
        if self.judged_share not in self.shares:
            raise ValueError(f"judged_share: {self.judged_share} is not one of shares: {self.shares}")
        return self


@dataclass(frozen=True)
class _Likelihoods:
    """Exact log-likelihoods of the test points (float64 [n], nats): of p, its rival and the mixtures."""

    p: Tensor
    rival: Tensor
    mixtures: dict[float, Tensor]

    def loss(self, share: float) -> Interval:
        """What so much noise costs, in nats."""
        return mean_interval((self.p - self.mixtures[share])[None])

    def lead(self, share: float) -> Interval:
        """Nats by which the mixture leads the rival."""
        return mean_interval((self.mixtures[share] - self.rival)[None])

    def spared(self, share: float) -> Interval:
        """What is left of the bound log 1/(1 - e) at the test point that loses most; it has no error."""
        return Interval(ROUNDING - math.log1p(-share) - float((self.p - self.mixtures[share]).max()), 0.0)

    def records(self, context: Context) -> list[Record]:
        """Log-likelihoods of all models, and each mixture's loss with its bound."""
        rows = [exact_record(context, P, self.p), exact_record(context, RIVAL, self.rival)]
        for share, values in self.mixtures.items():
            name, loss, n = _name(share), self.p - values, len(values)
            rows.append(exact_record(context, name, values))
            measured, error, bound = float(loss.mean()), standard_error(loss), -math.log1p(-share)
            rows.append(context.record(name, "noise_loss", measured, error, n=n, unit="nats", kind="exact"))
            rows.append(context.record(name, "noise_loss_bound", bound, n=n, unit="nats", kind="exact"))
        return rows


class NoiseMixture(Control[NoiseMixtureSettings]):
    """A fitted density, most of whose samples are replaced by noise."""

    Settings = NoiseMixtureSettings
    title = "Log-likelihood: a model whose samples are nearly all noise"
    claim = (
        "A model that draws 99 % noise loses at most log 100 = 4.6 nats by it, so that log-likelihood ranks "
        "it above a model whose samples are far better."
    )
    source = (
        "Theis, van den Oord & Bethge 2016, section 3.2 (Samples and log-likelihood): great log-likelihood "
        "and poor samples"
    )

    def run(self, context: Context) -> Finding:
        """Measure what the noise costs in likelihood and, with a classifier, in domain FID."""
        context.lap()
        models = self._models(context)
        found = self._likelihoods(context, models)
        records = found.records(context)
        samples = self._samples(context, models)
        fids = domain_fids(context, samples)
        judged = self.settings.judged_share
        parts = [found.spared(share) for share in found.mixtures] + [found.lead(judged)]
        panels = [_loss_panel(found)]
        if fids is not None:
            records += fids.records()
            parts.append(_worse(fids, judged))
            panels += _rank_panels(found, fids, judged)
        return Finding(
            judge(parts), _sentence(found, fids, judged), records, panels, self._sheets(context, samples)
        )

    def _models(self, context: Context) -> dict[str, PPCA]:
        train, valid = context.dequantised("train"), context.dequantised("valid")
        candidates = {P: self.settings.latent_dims, RIVAL: self.settings.rival_latent_dims}
        return {name: fit_ppca(context, dims, train, valid) for name, dims in candidates.items()}

    def _likelihoods(self, context: Context, models: dict[str, PPCA]) -> _Likelihoods:
        test = context.dequantised("test")
        exact = {name: model.log_prob(test).cpu() for name, model in models.items()}
        mixtures = {share: with_uniform(exact[P], share) for share in sorted(self.settings.shares)}
        return _Likelihoods(exact[P], exact[RIVAL], mixtures)

    def _samples(self, context: Context, models: dict[str, PPCA]) -> dict[str, Tensor]:
        """Images (uint8) drawn from every model by name; a mixture's are p's with noise in their place."""
        n = self.settings.fid_samples
        draws = {name: model.sample(n, context.generator("sample", name)) for name, model in models.items()}
        for share in sorted(self.settings.shares):
            name = _name(share)
            draws[name] = replace_by_noise(draws[P], share, context.generator("sample", name))
        levels = context.data.levels
        return {name: quantise(images, levels).cpu() for name, images in draws.items()}

    def _sheets(self, context: Context, samples: dict[str, Tensor]) -> list[Sheet]:
        judged = self.settings.judged_share
        titles = {
            "Samples of PPCA": P,
            f"Samples of PPCA with {100 * judged:g} % noise": _name(judged),
            "Samples of the small PPCA": RIVAL,
        }
        levels = context.data.levels
        return [Sheet(title, samples[name][:SHOWN].numpy(), levels) for title, name in titles.items()]


def _name(share: float) -> str:
    return f"noise_{share:g}"


def _worse(fids: Fids, share: float) -> Interval:
    """By how much the mixture's domain FID is above the rival's."""
    return fids.contrast({_name(share): 1.0, RIVAL: -1.0})


def _sentence(found: _Likelihoods, fids: Fids | None, share: float) -> str:
    loss, bound = found.loss(share).words("below", "above"), -math.log1p(-share)
    sentence = (
        f"{100 * share:g} % noise puts PPCA's log-likelihood {loss} what it was (the bound is {bound:.1f}) "
        f"and {found.lead(share).words('above', 'below')} that of a smaller PPCA without noise"
    )
    if fids is None:
        return f"{sentence} (there is no classifier to measure its samples)."
    return (
        f"{sentence}, and its domain FID is {fids.values[_name(share)]:.1f} against {fids.values[RIVAL]:.1f} "
        f"({_worse(fids, share).words('higher', 'lower', '')})."
    )


def _loss_panel(found: _Likelihoods) -> Panel:
    shares = list(found.mixtures)
    losses, places = [found.loss(share) for share in shares], [float(place) for place in range(len(shares))]
    measured = Curve.of("measured (95 % over test images)", places, losses)
    bound = Curve("bound log 1/(1 - e)", places, [-math.log1p(-share) for share in shares])
    names = [f"{100 * share:g} %" for share in shares]
    return Panel("What noise costs", "share of noise e", "nats lost", [measured, bound], x_names=names)


def _rank_panels(found: _Likelihoods, fids: Fids, share: float) -> list[Panel]:
    """The same three models under both measures."""
    names, order = ["PPCA", f"{100 * share:g} % noise", "small PPCA"], [P, _name(share), RIVAL]
    places = [0.0, 1.0, 2.0]
    means = [float(values.mean()) for values in (found.p, found.mixtures[share], found.rival)]
    likelihood = Curve("log-likelihood", places, means)
    distance = Curve("domain FID", places, [fids.values[name] for name in order])
    return [
        Panel("By log-likelihood (higher is better)", "", "nats", [likelihood], x_names=names),
        Panel("By domain FID (lower is better)", "", "domain FID", [distance], x_names=names),
    ]
