from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.baselines.ppca import PPCA, PPCASettings


def fitted(candidates: list[int], n: int = 400, seed: int = 0) -> tuple[PPCA, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(4, 9, generator=generator, dtype=torch.float64)
    noise = 0.3 * torch.randn(n, 9, generator=generator, dtype=torch.float64)
    x = (torch.randn(n, 4, generator=generator, dtype=torch.float64) @ mixing + noise + 0.5).reshape(
        n, 1, 3, 3
    )
    model = PPCA(
        PPCASettings(family="ppca", view="gray", latent_dims=candidates), image_schema((1, 3, 3), 256)
    )
    train, valid = x[: n // 2], x[n // 2 :]
    model.fit(Batch(train), Batch(valid), torch.Generator())
    return model, train, valid


@pytest.mark.parametrize("q", [1, 4, 8])
def test_log_prob_is_that_of_scikit_learn(q: int) -> None:
    model, train, valid = fitted([q])
    reference = PCA(n_components=q, svd_solver="full").fit(train.flatten(1).numpy())
    ours = model.log_prob(valid).numpy()
    np.testing.assert_allclose(ours, reference.score_samples(valid.flatten(1).numpy()), rtol=1e-9)
    assert math.isclose(ours.mean(), reference.score(valid.flatten(1).numpy()), rel_tol=1e-6)


def test_validation_chooses_the_number_of_components_of_the_truth() -> None:
    model, _, valid = fitted([1, 2, 3, 4, 8], n=4000)
    assert model.latent_dim == 4
    alone, _, _ = fitted([4], n=4000)
    torch.testing.assert_close(model.log_prob(valid), alone.log_prob(valid))


def test_bayes_rule_holds_between_prior_likelihood_and_marginal() -> None:
    """log p(x) = log p(x|z) + log p(z) - log p(z|x) at any z, with the posterior of section 3.2."""
    model, _, valid = fitted([3])
    x, z = valid[:5], torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights = model.loadings()
    precision = weights.T @ weights / model.noise_variance + torch.eye(3)
    posterior = torch.distributions.MultivariateNormal(model.encode(x), precision_matrix=precision)
    joint = model.decoder_log_prob(x, z) + model.prior_log_prob(z)
    torch.testing.assert_close(joint - posterior.log_prob(z), model.log_prob(x))


def test_samples_have_the_model_s_mean_and_covariance() -> None:
    model, _, _ = fitted([3])
    draws = model.sample(200_000, torch.Generator().manual_seed(0)).flatten(1)
    covariance = model.loadings() @ model.loadings().T + model.noise_variance * torch.eye(9)
    torch.testing.assert_close(draws.mean(0), model.mean, atol=0.03, rtol=0)
    torch.testing.assert_close(draws.T.cov(), covariance, atol=0.1, rtol=0.02)


def test_state_survives_a_round_trip() -> None:
    model, _, valid = fitted([2, 3])
    copy = PPCA(PPCASettings(family="ppca", view="gray", latent_dims=[2, 3]), image_schema((1, 3, 3), 256))
    copy.load_state_dict(model.state_dict())
    assert torch.equal(copy.log_prob(valid), model.log_prob(valid))


def test_as_many_components_as_pixels_are_refused() -> None:
    with pytest.raises(SettingsError, match="9 is not below the image's 9 dimensions"):
        PPCA(PPCASettings(family="ppca", view="gray", latent_dims=[9]), image_schema((1, 3, 3), 256))
