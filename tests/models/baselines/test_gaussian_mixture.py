from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture as ScikitMixture
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.prepare import load_splits
from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.base import Model
from dgmbench.models.baselines.gaussian import Gaussian
from dgmbench.models.baselines.gaussian_mixture import GaussianMixture, GaussianMixtureSettings
from dgmbench.models.baselines.independent import Independent
from dgmbench.models.baselines.uniform import Uniform
from dgmbench.models.capabilities import (
    CanComplete,
    CanDecode,
    CanEncode,
    CanPredict,
    CanSample,
    HasLogProb,
    HasLogWeights,
)
from dgmbench.models.hooks import ClosedForm

COVARIANCES = ["full", "tied", "diag", "spherical"]


def make(d: int = 4, **settings: Any) -> GaussianMixture:
    block = {"family": "gaussian_mixture", "view": "gray", "components": [3], "reg_covar": [1e-4]} | settings
    return GaussianMixture(GaussianMixtureSettings.model_validate(block), image_schema((1, 1, d), 256))


def clusters(n: int, d: int = 4, seed: int = 0) -> Tensor:
    """Images ``[n, 1, 1, d]`` in float64 from three elongated clusters."""
    shared, own = torch.Generator().manual_seed(99), torch.Generator().manual_seed(seed)
    centres = torch.rand((3, d), generator=shared, dtype=torch.float64)
    mixing = 0.1 * torch.randn((3, d, d), generator=shared, dtype=torch.float64)
    which = torch.randint(3, (n,), generator=own)
    noise = torch.randn((n, 1, d), generator=own, dtype=torch.float64)
    return (centres[which] + (noise @ mixing[which])[:, 0]).reshape(n, 1, 1, d)


def fitted(d: int = 4, **settings: Any) -> tuple[GaussianMixture, dict[str, float]]:
    model = make(d, **settings)
    losses = model.fit(Batch(clusters(200, d)), Batch(clusters(150, d, 1)), torch.Generator().manual_seed(5))
    return model, losses


def reference(covariance: str, components: int, data: Tensor) -> ScikitMixture:
    """scikit-learn's own fit from the seed that `fit` draws first."""
    seed = int(torch.randint(2**31 - 1, (), generator=torch.Generator().manual_seed(5)))
    mixture = ScikitMixture(components, covariance_type=covariance, reg_covar=1e-4, random_state=seed)
    return mixture.fit(data.flatten(1).numpy())


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_densities_and_responsibilities_are_those_of_scikit_learn(covariance: str) -> None:
    model, losses = fitted(covariance=covariance)
    expected = reference(covariance, 3, clusters(200))
    x = clusters(50, seed=2)
    flat = x.flatten(1).numpy()
    np.testing.assert_allclose(model.log_prob(x).numpy(), expected.score_samples(flat), rtol=1e-8)
    np.testing.assert_allclose(model.encode(x).numpy(), expected.predict_proba(flat), atol=1e-8)
    assert losses["loss"] == pytest.approx(-expected.score(clusters(150, seed=1).flatten(1).numpy()))
    assert losses["converged"] == 1.0 and losses["iterations"] == expected.n_iter_


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_density_of_two_pixels_integrates_to_one(covariance: str) -> None:
    model, _ = fitted(2, covariance=covariance)
    axis = torch.linspace(-2, 3, 801, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis).reshape(-1, 1, 1, 2)
    total = float(model.log_prob(grid).exp().sum()) * (5 / 800) ** 2
    assert math.isclose(total, 1.0, rel_tol=1e-6)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_samples_have_the_mixture_s_mean_and_covariance(covariance: str) -> None:
    model, _ = fitted(covariance=covariance)
    mixture = reference(covariance, 3, clusters(200))
    spreads = {
        "full": lambda: mixture.covariances_,
        "tied": lambda: np.stack([mixture.covariances_] * 3),
        "diag": lambda: np.stack([np.diag(row) for row in mixture.covariances_]),
        "spherical": lambda: np.stack([value * np.eye(4) for value in mixture.covariances_]),
    }[covariance]()
    mean = mixture.weights_ @ mixture.means_
    offsets = mixture.means_ - mean
    covariances = spreads + offsets[:, :, None] * offsets[:, None, :]
    draws = model.sample(200_000, torch.Generator().manual_seed(0)).flatten(1).numpy()
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.004)
    np.testing.assert_allclose(np.cov(draws.T), np.tensordot(mixture.weights_, covariances, 1), atol=0.003)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_draws_of_one_component_lie_around_its_mean_image(covariance: str) -> None:
    model, _ = fitted(covariance=covariance)
    z = torch.full((50_000,), 1)
    draws = model.decoder_sample(z, torch.Generator().manual_seed(0))
    torch.testing.assert_close(draws.mean(0), model.decode(z[:1])[0], atol=0.004, rtol=0)
    torch.testing.assert_close(model.decode(z[:1]).flatten(), model.means[1], rtol=0, atol=0)


def test_validation_chooses_among_components_and_floors() -> None:
    components, floors = [1, 2, 3, 30], [1e-4, 1e-2, 1.0]
    model, losses = fitted(components=components, reg_covar=floors)
    alone = {(k, r): fitted(components=[k], reg_covar=[r])[1]["loss"] for k in components for r in floors}
    best = min(alone, key=lambda pair: alone[pair])
    assert (losses["components"], losses["reg_covar"]) == best
    assert losses["loss"] == alone[best] == -float(model.log_prob(clusters(150, seed=1)).mean())
    assert best[0] == 3
    assert model.encode(clusters(7)).shape == (7, 3)


@pytest.mark.parametrize(
    ("covariance", "count"), [("full", 2 * 10), ("tied", 10), ("diag", 8), ("spherical", 2)]
)
def test_state_survives_a_round_trip_and_parameters_are_counted(covariance: str, count: int) -> None:
    model, _ = fitted(covariance=covariance, components=[2, 150])
    copy = make(covariance=covariance, components=[2, 150])
    copy.load_state_dict(model.state_dict())
    assert torch.equal(copy.log_prob(clusters(20)), model.log_prob(clusters(20)))
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    assert torch.equal(copy.sample(20, generators[0]), model.sample(20, generators[1]))
    assert copy.parameter_count() == 1 + 2 * 4 + count


def test_em_sees_as_many_images_as_it_is_told() -> None:
    model, _ = fitted(images=60)
    generator = torch.Generator().manual_seed(5)
    part = clusters(200)[torch.randperm(200, generator=generator)[:60]]
    seed = int(torch.randint(2**31 - 1, (), generator=generator))
    expected = ScikitMixture(3, covariance_type="diag", reg_covar=1e-4, random_state=seed)
    expected.fit(part.flatten(1).numpy())
    x = clusters(20, seed=2)
    np.testing.assert_allclose(
        model.log_prob(x).numpy(), expected.score_samples(x.flatten(1).numpy()), rtol=1e-8
    )
    with pytest.raises(SettingsError, match="components: 61 is more than the 60 images that EM sees"):
        fitted(images=60, components=[3, 61])


def test_a_degenerate_candidate_is_told_and_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    twice = torch.ones(40, 1, 1, 4, dtype=torch.float64)
    twice[:20] = 0
    candidates = [1e-320, 1e-3]
    model = make(components=[2], reg_covar=candidates, covariance="full")
    losses = model.fit(Batch(twice), Batch(twice), torch.Generator().manual_seed(0))
    assert losses["reg_covar"] == 1e-3 and math.isfinite(losses["loss"])
    assert "2 components, reg_covar" in capsys.readouterr().err
    hopeless = make(components=[2], reg_covar=candidates[:1], covariance="full")
    assert hopeless.fit(Batch(twice), Batch(twice), torch.Generator().manual_seed(0)) == {"loss": math.inf}


def gray_score(family: type[Model], **choices: Any) -> float:
    """Mean test log-likelihood on digits, nats as a density on [0, 1]^64."""
    block = {"family": "any", "view": "gray"} | choices
    model = family(family.Settings.model_validate(block), image_schema((1, 8, 8), 17))
    assert isinstance(model, ClosedForm) and isinstance(model, HasLogProb)
    splits, noise = load_splits("digits", seed=0).splits, torch.Generator().manual_seed(0)
    parts = [torch.from_numpy(splits[name].images.copy()) for name in ("train", "valid", "test")]
    train, valid, test = (model.view.batch(part, noise) for part in parts)
    model.fit(train, valid, noise)
    return float(model.view.measure(model.log_prob(test.x), "exact")[0].values.mean())


def test_baselines_rank_on_digits_as_they_should() -> None:
    """Gray: uniform < independent Gaussians < one Gaussian < a mixture; uniform < a histogram per pixel."""
    uniform = gray_score(Uniform)
    product, full = gray_score(Gaussian, shrinkages=[1.0]), gray_score(Gaussian)
    mixture = gray_score(GaussianMixture, components=[40], reg_covar=[1e-4])
    assert uniform == 0.0 and uniform + 20 < product < full - 10 and full + 5 < mixture
    assert uniform + 20 < gray_score(Independent)


@pytest.mark.parametrize(
    ("key", "value"), [("components", []), ("components", [0]), ("reg_covar", [0.0]), ("covariance", "round")]
)
def test_settings_that_cannot_work_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=key):
        make(**{key: value})


def test_settings_are_checked_without_memory_for_the_state() -> None:
    with torch.device("meta"):
        model = make(784, covariance="full", components=[500])
    assert all(buffer.is_meta for buffer in model.buffers())


def test_it_claims_the_capabilities_that_it_has_and_no_others() -> None:
    model = make()
    for capability in (ClosedForm, HasLogProb, CanSample, CanEncode):
        assert isinstance(model, capability)
    for capability in (HasLogWeights, CanDecode, CanComplete, CanPredict):
        assert not isinstance(model, capability)
