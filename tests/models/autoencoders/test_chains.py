"""Corruption and the Markov chains of denoising and contractive auto-encoders."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from small_autoencoders import batch, finished, generator

from dgmbench.models.autoencoders.chains import (
    contractive_chain,
    corrupt,
    denoising_chain,
    local_step,
    scale_of_steps,
)
from dgmbench.models.autoencoders.contraction import encoder_jacobian


def test_gaussian_corruption_has_its_moments() -> None:
    noise = corrupt(torch.full((100_000,), 0.3), "gaussian", 0.25, generator()) - 0.3
    assert abs(float(noise.mean())) < 0.004
    assert math.isclose(float(noise.std()), 0.25, rel_tol=0.01)


@pytest.mark.parametrize(("kind", "zeros", "ones"), [("masking", 0.4, 0.0), ("salt_and_pepper", 0.2, 0.2)])
def test_a_share_of_the_pixels_is_set(kind: str, zeros: float, ones: float) -> None:
    seen = corrupt(torch.full((100_000,), 0.3), kind, 0.4, generator())
    for value, share in ((0.0, zeros), (1.0, ones), (0.3, 0.6)):
        assert abs(float((seen == value).float().mean()) - share) < 0.01


def test_chain_keeps_the_distribution_whose_denoiser_it_uses_and_finds_it_from_afar() -> None:
    """Gaussian data, Gaussian corruption, and the exact posterior: theorem 1 of Bengio et al. 2013."""
    mixing = torch.tensor([[1.0, 0.0], [0.8, 0.5]], dtype=torch.float64)
    centre, covariance, level = torch.tensor([0.5, -1.0]), mixing @ mixing.T, 0.7
    gain = covariance @ torch.linalg.inv(covariance + level**2 * torch.eye(2))
    root = torch.linalg.cholesky(covariance - gain @ covariance)
    noise, n = generator(6), 40_000
    start = torch.full((n, 2), 5.0, dtype=torch.float64)
    for steps, x in ((1, centre + torch.randn(n, 2, generator=noise).double() @ mixing.T), (60, start)):
        last, mean = denoising_chain(
            x,
            steps,
            lambda x: corrupt(x, "gaussian", level, noise),
            lambda seen: centre + (seen - centre) @ gain.T,
            lambda mean: mean + torch.randn(n, 2, generator=noise).double() @ root.T,
        )
        torch.testing.assert_close(last.mean(0), centre.double(), atol=0.03, rtol=0)
        torch.testing.assert_close(last.T.cov(), covariance, atol=0.04, rtol=0)
        torch.testing.assert_close(mean.T.cov(), gain @ covariance, atol=0.04, rtol=0)


def test_the_model_s_own_chain_has_the_known_limit_of_a_linear_denoiser() -> None:
    """Data N(1/2, t^2 I) corrupted by N(0, l^2): r shrinks by a = t^2/(t^2 + l^2), means vary by a t^2."""
    level, variance = 0.5, 0.25
    shrink = variance / (variance + level**2)
    settings: dict[str, Any] = {"hidden": [], "latent_dim": 16, "mean": "identity", "chain_steps": 40}
    model = finished(regulariser="denoising", corruption_level=level, **settings)
    model.starts.zero_()
    with torch.no_grad():
        # The encoder sees 2x - 1, twice the deviation from 1/2.
        model.encoder[1].weight.copy_(torch.eye(16))
        model.decoder[0].weight.copy_(0.5 * shrink * torch.eye(16))
        model.encoder[1].bias.zero_()
        model.decoder[0].bias.fill_(0.5)
    model.noise_variance.fill_(shrink * level**2)
    means = model.sample_by("chain", 5000, generator()).flatten()
    assert abs(float(means.mean()) - 0.5) < 0.01
    assert math.isclose(float(means.var()), shrink * variance, rel_tol=0.03)


def test_steps_in_code_space_have_the_published_covariance_and_the_length_asked_for() -> None:
    jacobian = torch.randn(3, 8, generator=generator(8), dtype=torch.float64)
    gram = (jacobian @ jacobian.T).expand(100_000, 3, 3)
    steps = local_step(gram, torch.tensor(0.2), generator())
    expected = 0.04 * gram[0] @ gram[0]
    torch.testing.assert_close(steps.T.cov(), expected, rtol=0.02, atol=0.02 * float(expected.max()))
    codes = 3 * torch.randn(5000, 3, generator=generator(9), dtype=torch.float64)
    scale = scale_of_steps(gram[:2], codes, 0.5)
    lengths = local_step(gram, scale, generator()).square().sum(1).mean().sqrt()
    assert math.isclose(float(lengths), 0.5 * 3 * math.sqrt(3), rel_tol=0.03)


def test_contractive_chain_decodes_codes_moved_by_its_steps() -> None:
    model = finished(regulariser="contractive").double()
    x, noise = batch("gray").double(), generator(5)
    with torch.no_grad():
        found = contractive_chain(x, 2, model.jacobian, model.decode, model.step_scale, generator(5))
        for _ in range(2):
            gram = encoder_jacobian(model.encoder, 2 * x - 1).gram()
            eps = torch.randn(10, 3, generator=noise, dtype=torch.float64)
            x = model.decode(model.encode(x) + model.step_scale * torch.einsum("nij,nj->ni", gram, eps))
    torch.testing.assert_close(found, x)
