from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from dgmbench.models.autoencoders.code_density import RIDGE, CodeDensity, GaussianCodes, MixtureCodes


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clusters(n: int, seed: int = 0) -> Tensor:
    """Codes of three well separated clusters in three dimensions, correlated and of unequal scales."""
    noise = torch.randn(n, 3, generator=generator(seed), dtype=torch.float64)
    mixing = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]], dtype=torch.float64)
    centres = torch.tensor([[0.0, 0, 0], [9, 0, 5], [0, 12, -6]], dtype=torch.float64)
    return (centres[torch.arange(n) % 3] + noise @ mixing) * torch.tensor([1.0, 10.0, 0.1])


def mixture(candidates: list[int], n: int = 900) -> tuple[MixtureCodes, dict[int, float]]:
    density = MixtureCodes(3, candidates)
    return density, density.fit(clusters(n), clusters(300, seed=1), generator())


def test_gaussian_is_the_maximum_likelihood_one() -> None:
    codes, density = clusters(600), GaussianCodes(3)
    density.fit(codes)
    covariance = codes.T.cov(correction=0)
    covariance += RIDGE * torch.diag(covariance.diagonal())
    expected = torch.distributions.MultivariateNormal(codes.mean(0), covariance)
    held_out = clusters(50, seed=2)
    torch.testing.assert_close(density.log_prob(held_out), expected.log_prob(held_out))


def test_mixture_is_as_likely_as_scikit_learn_s_own_on_standardised_codes() -> None:
    density, _ = mixture([3])
    codes, held_out = clusters(900), clusters(300, seed=1)
    centre, spread = codes.mean(0), codes.std(0, correction=0)
    reference = GaussianMixture(3, reg_covar=RIDGE, random_state=0).fit(((codes - centre) / spread).numpy())
    expected = reference.score_samples(((held_out - centre) / spread).numpy()) - float(spread.log().sum())
    # The same optimum from another start; EM ends within a thousandth of a nat of it on average.
    np.testing.assert_allclose(density.log_prob(held_out).numpy(), expected, atol=0.01)


def test_one_component_is_the_gaussian() -> None:
    single, _ = mixture([1])
    gaussian = GaussianCodes(3)
    gaussian.fit(clusters(900))
    held_out = clusters(40, seed=3)
    torch.testing.assert_close(single.log_prob(held_out), gaussian.log_prob(held_out))


def test_validation_chooses_the_number_of_clusters() -> None:
    density, scores = mixture([1, 2, 3, 30])
    assert int(density.components) == 3
    assert min(scores, key=lambda k: scores[k]) == 3
    alone, _ = mixture([3])
    held_out = clusters(40, seed=3)
    torch.testing.assert_close(density.log_prob(held_out), alone.log_prob(held_out))


def test_the_fit_does_not_depend_on_the_scale_of_the_codes() -> None:
    density, _ = mixture([1, 2, 3])
    scaled = MixtureCodes(3, [1, 2, 3])
    scaled.fit(1e-4 * clusters(900), 1e-4 * clusters(300, seed=1), generator())
    held_out = clusters(40, seed=3)
    expected = density.log_prob(held_out) - 3 * math.log(1e-4)
    torch.testing.assert_close(scaled.log_prob(1e-4 * held_out), expected)


@pytest.mark.parametrize("kind", ["gaussian", "mixture"])
def test_draws_have_the_codes_moments(kind: str) -> None:
    codes = clusters(900)
    density: CodeDensity = GaussianCodes(3) if kind == "gaussian" else mixture([3])[0]
    if isinstance(density, GaussianCodes):
        density.fit(codes)
    draws, spread = density.sample(60_000, generator(4)), codes.std(0)
    torch.testing.assert_close(draws.mean(0) / spread, codes.mean(0) / spread, atol=0.02, rtol=0)
    torch.testing.assert_close((draws / spread).T.cov(), (codes / spread).T.cov(), atol=0.03, rtol=0)


def test_draws_of_a_mixture_follow_its_density() -> None:
    """E[p(z)^-1 q(z)] = 1 for draws of p and any density q: here a wider Gaussian's."""
    density, _ = mixture([3])
    draws = density.sample(40_000, generator(5))
    scale = torch.tensor([1.0, 10.0, 0.1])
    inner = torch.distributions.Normal(torch.zeros(3, dtype=torch.float64), 0.5 * scale)
    ratios = (inner.log_prob(draws).sum(1) - density.log_prob(draws)).exp()
    error = float(ratios.std()) / math.sqrt(len(ratios))
    assert error < 0.05
    assert abs(float(ratios.mean()) - 1) < 4 * error


def test_log_prob_takes_any_leading_axes_and_has_the_gradient_of_the_density() -> None:
    density, _ = mixture([2, 3])
    z = clusters(6, seed=3).reshape(2, 3, 3)
    assert density.log_prob(z).shape == (2, 3)
    torch.testing.assert_close(density.log_prob(z)[1], density.log_prob(z[1]))
    scaled = z / torch.tensor([1.0, 10.0, 0.1])
    restored = torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda u: density.log_prob(u * restored), scaled.requires_grad_())


def test_a_dead_entry_of_the_code_does_no_harm() -> None:
    codes = clusters(300)
    codes[:, 1] = 0.25
    for density in (GaussianCodes(3), MixtureCodes(3, [1, 3])):
        if isinstance(density, MixtureCodes):
            density.fit(codes, codes, generator())
        else:
            density.fit(codes)
        draws = density.sample(100, generator())
        assert bool(torch.isfinite(density.log_prob(codes)).all())
        assert float((draws[:, 1] - 0.25).abs().max()) < 1e-3 * float(codes.std())


def test_only_so_many_codes_go_into_the_mixture() -> None:
    density = MixtureCodes(3, [1], seen=90)
    density.fit(clusters(900), clusters(60, seed=1), generator(7))
    order = torch.randperm(900, generator=generator(7))[:90]
    torch.testing.assert_close(density.means[0], clusters(900)[order].mean(0))


def test_more_components_than_codes_are_left_out_and_none_left_is_an_error() -> None:
    density = MixtureCodes(3, [2, 50])
    scores = density.fit(clusters(30), clusters(30, seed=1), generator())
    assert list(scores) == [2]
    with pytest.raises(ValueError, match="no mixture of 50 components can be fitted to 30 codes"):
        MixtureCodes(3, [50]).fit(clusters(30), clusters(30), generator())


def test_an_unfitted_density_says_so() -> None:
    for call in (lambda d: d.sample(2, generator()), lambda d: d.log_prob(torch.zeros(1, 3))):
        with pytest.raises(ValueError, match="fit it, or load its state, first"):
            call(GaussianCodes(3))


def test_state_survives_a_round_trip_whatever_was_chosen() -> None:
    density, _ = mixture([1, 3, 5])
    copy = MixtureCodes(3, [1, 3, 5])
    copy.load_state_dict(density.state_dict())
    assert torch.equal(copy.sample(9, generator()), density.sample(9, generator()))
    # Two weights, three means and three covariances of six distinct entries.
    assert copy.parameter_count() == 2 + 3 * 3 + 3 * 6


def test_the_fit_repeats() -> None:
    first, second = mixture([1, 2, 3])[0], mixture([1, 2, 3])[0]
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
