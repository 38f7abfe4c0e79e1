"""Parzen against a known density: exact values in closed form, convergence in few dimensions, a flip."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from finding_checks import check, context, table, trace
from pydantic import ValidationError
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from dgmbench.controls.likelihoods.parzen_duel import Mixture
from dgmbench.controls.likelihoods.parzen_truth import ParzenTruth, ParzenTruthSettings
from dgmbench.data.dataset import Dataset
from dgmbench.errors import SettingsError

SMALL = {
    "latent_dims": [20, 40],
    "largest": 1000,
    "valid_points": 100,
    "test_points": 200,
    "bandwidths": 8,
    "rival_components": 100,
    "rival_points": 3000,
    "rival_samples": 3000,
    "repetitions": 2,
}


def control(**settings: object) -> ParzenTruth:
    return ParzenTruth(ParzenTruthSettings.model_validate(SMALL | settings))


def test_parzen_misses_the_truth_of_digits_and_prefers_the_rival(digits: Dataset) -> None:
    finding = control().run(context("parzen_truth", digits))
    check(finding)
    assert finding.outcome == "supported"
    values = table(finding)
    scores = [values[f"truth_{m}", "log_likelihood_parzen"][0] for m in (100, 1000)]
    truth, rival = (values[name, "log_likelihood"][0] for name in ("truth", "rival"))
    assert scores[0] < scores[1] < truth - 20
    assert rival < truth - 20
    assert min(values["rival_3000", "log_likelihood_parzen"]) > max(
        values["truth_3000", "log_likelihood_parzen"]
    )
    assert values["truth_1000", "parzen_gap"][0] == pytest.approx(scores[1] - truth)


def test_the_true_log_likelihood_is_minus_the_entropy(digits: Dataset) -> None:
    about = context("parzen_truth", digits)
    model = control()._truth(about)
    log_det = model.eigenvalues[: model.latent_dim].log().sum()
    log_det += (64 - model.latent_dim) * model.noise_variance.log()
    entropy = 0.5 * (64 * (1 + math.log(2 * math.pi)) + float(log_det))
    row = next(row for row in control().run(about).records if row.metric == "log_likelihood")
    assert row.kind == "exact" and row.std_error is not None
    assert abs(row.value + entropy) < 4 * row.std_error


def test_the_rival_s_density_and_samples_are_those_of_its_mixture() -> None:
    centres = torch.rand(5, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rival = Mixture(centres, 0.1)
    components = Independent(Normal(centres.flatten(1), 0.1), 1)
    reference = MixtureSameFamily(Categorical(torch.ones(5, dtype=torch.float64)), components)
    x = rival.sample(50_000, torch.Generator().manual_seed(1))
    torch.testing.assert_close(rival.log_prob(x[:100]), reference.log_prob(x[:100].flatten(1)))
    torch.testing.assert_close(x.flatten(1).mean(0), reference.mean, atol=0.01, rtol=0)
    torch.testing.assert_close(x.flatten(1).var(0), reference.variance, atol=0.01, rtol=0)


def test_in_few_dimensions_parzen_is_right_and_the_claim_contradicted(digits: Dataset) -> None:
    finding = control(patch=2, latent_dims=[1], largest=10_000, log10_bandwidths=(-2.0, 0.0)).run(
        context("parzen_truth", digits)
    )
    check(finding)
    assert finding.outcome == "contradicted"
    gaps = [table(finding)[f"truth_{m}", "parzen_gap"][0] for m in (100, 1000, 10_000)]
    assert gaps[0] < gaps[1] < gaps[2] < 0.05 and gaps[2] > -0.2
    assert finding.sheets[0].images.shape == (36, 1, 2, 2)


def test_a_rival_that_is_worse_under_both_measures_is_no_inversion(digits: Dataset) -> None:
    finding = control(rival_width=0.8).run(context("parzen_truth", digits))
    assert finding.outcome == "contradicted"
    assert "below it at 3,000 samples" in finding.sentence


def test_the_curve_goes_by_tens_to_the_largest() -> None:
    assert control(largest=1_000_000)._sizes() == [100, 1000, 10_000, 100_000, 1_000_000]
    assert control(largest=2500)._sizes() == [100, 1000, 2500]
    assert control(largest=100)._sizes() == [100]


def test_the_comparison_reuses_the_curve_s_score(digits: Dataset) -> None:
    values = table(control(rival_samples=1000).run(context("parzen_truth", digits)))
    assert len(values["truth_1000", "log_likelihood_parzen"]) == 2
    assert len(values["truth_100", "log_likelihood_parzen"]) == 1


def test_the_patch_is_the_middle_of_the_image() -> None:
    images = torch.arange(64.0).reshape(1, 1, 8, 8)
    expected = np.arange(64.0).reshape(8, 8)[3:5, 3:5]
    np.testing.assert_array_equal(control(patch=2)._patch(images)[0, 0], expected)
    assert torch.equal(control()._patch(images), images)
    with pytest.raises(SettingsError, match="patch: 9 is beyond the image's 8x8 pixels"):
        control(patch=9)._patch(images)


def test_the_same_seed_gives_the_same_bytes(digits: Dataset) -> None:
    first, again, other = (
        trace(control(rival_points=500, rival_samples=200).run(context("parzen_truth", digits, seed=seed)))
        for seed in (0, 0, 1)
    )
    assert first == again and first != other


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"largest": 99}, {"rival_width": 0}, {"latent_dims": []}, {"material": 0}):
        with pytest.raises(ValidationError):
            control(**wrong)
