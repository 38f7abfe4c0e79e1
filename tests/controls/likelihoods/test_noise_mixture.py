"""What noise costs: the bound, where it is attained, what is drawn, and where the claim is false."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from finding_checks import check, context, table, trace
from pydantic import ValidationError

from dgmbench.controls.likelihoods.noise_mixture import NoiseMixture, NoiseMixtureSettings
from dgmbench.data.dataset import Dataset
from dgmbench.evaluation.features.classifier import DomainClassifier

SHARES = [0.5, 0.9, 0.99, 0.999]


def control(**settings: object) -> NoiseMixture:
    small = {"latent_dims": [40], "rival_latent_dims": [10], "fid_samples": 400}
    return NoiseMixture(NoiseMixtureSettings.model_validate(small | settings))


def flat_images(made_up: Callable[..., Dataset]) -> Dataset:
    """Images of one gray within a level: a density of dozens of nats at every one of them."""
    rng = np.random.default_rng(0)
    sizes = {"train": 400, "valid": 100, "test": 100}
    return made_up(64, **{split: 30 + rng.integers(0, 3, size=(n, 1, 4, 4)) for split, n in sizes.items()})


def test_likelihood_prefers_noise_on_digits(digits: Dataset, classifier: DomainClassifier) -> None:
    finding = control().run(context("noise_mixture", digits, classifier))
    check(finding)
    assert finding.outcome == "supported"
    values = table(finding)
    assert values["noise_0.99", "log_likelihood"] > values["ppca_small", "log_likelihood"]
    assert values["noise_0.99", "fid_domain"] > values["ppca_small", "fid_domain"]


def test_the_bound_holds_at_every_share(digits: Dataset) -> None:
    values = table(control().run(context("noise_mixture", digits)))
    for share in SHARES:
        ((loss,), (bound,)) = (
            values[f"noise_{share:g}", name] for name in ("noise_loss", "noise_loss_bound")
        )
        assert bound == pytest.approx(math.log(1 / (1 - share))) and loss <= bound
        difference = values["ppca", "log_likelihood"][0] - values[f"noise_{share:g}", "log_likelihood"][0]
        assert loss == pytest.approx(difference)
    assert values["noise_0.99", "noise_loss_bound"][0] == pytest.approx(4.605, abs=1e-3)


def test_the_bound_is_attained_where_the_model_is_far_above_noise(made_up: Callable[..., Dataset]) -> None:
    about = context("noise_mixture", flat_images(made_up))
    one = control(latent_dims=[2], rival_latent_dims=[1])
    values = table(one.run(about))
    for share in SHARES:
        assert values[f"noise_{share:g}", "noise_loss"][0] == pytest.approx(-math.log(1 - share), abs=1e-3)
    likelihoods = one._likelihoods(about, one._models(about))
    assert 0 < likelihoods.spared(0.99).low < 1e-3


def test_mixtures_are_those_of_the_definition(digits: Dataset) -> None:
    about, one = context("noise_mixture", digits), control()
    models = one._models(about)
    found = one._likelihoods(about, models)
    density = models["ppca"].log_prob(about.dequantised("test")).numpy().astype(np.longdouble)
    for share in SHARES:
        expected = np.log((1 - np.longdouble(share)) * np.exp(density) + share)
        np.testing.assert_allclose(found.mixtures[share].numpy(), expected.astype(float), rtol=1e-12)


def test_the_drawn_images_are_noise_in_their_share(digits: Dataset) -> None:
    about, one = context("noise_mixture", digits), control(fid_samples=3000)
    samples = one._samples(about, one._models(about))
    for share in SHARES:
        kept = (samples[f"noise_{share:g}"] == samples["ppca"]).flatten(1).all(1)
        error = math.sqrt(share * (1 - share) / 3000)
        assert abs(1 - float(kept.double().mean()) - share) < 4 * error
    noise = samples["noise_0.999"][~(samples["noise_0.999"] == samples["ppca"]).flatten(1).all(1)]
    counts = torch.bincount(noise.flatten().long(), minlength=17).double()
    np.testing.assert_allclose(counts / counts.sum(), np.full(17, 1 / 17), atol=0.003)


def test_not_shown_where_no_model_is_worse_by_more_than_the_bound(made_up: Callable[..., Dataset]) -> None:
    finding = control(latent_dims=[2], rival_latent_dims=[1]).run(context("any", flat_images(made_up)))
    check(finding)
    assert finding.outcome == "contradicted"
    assert "below that of a smaller PPCA" in finding.sentence


def test_not_shown_where_the_rival_draws_worse_than_noise(
    digits: Dataset, classifier: DomainClassifier
) -> None:
    """A good model with a little noise draws better images than one that draws little but noise."""
    harsh = control(shares=[0.05], judged_share=0.05, rival_latent_dims=[1])
    finding = harsh.run(context("noise_mixture", digits, classifier))
    assert finding.outcome == "contradicted" and "lower)." in finding.sentence


def test_without_a_classifier_likelihood_alone_decides(digits: Dataset) -> None:
    finding = control().run(context("noise_mixture", digits))
    check(finding)
    assert finding.outcome == "supported" and "no classifier" in finding.sentence
    assert len(finding.panels) == 1 and not any(row.metric == "fid_domain" for row in finding.records)


def test_the_same_seed_gives_the_same_bytes(digits: Dataset, classifier: DomainClassifier) -> None:
    first, again, other = (
        trace(control(fid_samples=100).run(context("noise_mixture", digits, classifier, seed)))
        for seed in (0, 0, 1)
    )
    assert first == again and first != other


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"judged_share: 0.99 is not one of shares: \[0.5\]"):
        control(shares=[0.5])
    for wrong in ({"shares": [1.0]}, {"shares": [0.0]}, {"fid_samples": 1}, {"latent_dims": []}):
        with pytest.raises(ValidationError):
            control(**wrong)
