from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import scipy.stats
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from dgmbench.models.latent.gamma_families import Dirichlet
from dgmbench.models.latent.latent_family import LatentFamily, Parameters
from dgmbench.models.latent.location_scale import LocationScale
from dgmbench.models.latent.posteriors import PosteriorSettings, build_family

FAMILIES = ["normal", "laplace", "student_t", "logistic", "cauchy", "gamma", "beta", "dirichlet"]
DF, PRIOR = 5.0, (1.5, 0.7)


def family(name: str, latent_dim: int = 3) -> LatentFamily:
    settings = {"family": "x", "view": "binary", "posterior": name, "prior_parameters": PRIOR}
    made = build_family(PosteriorSettings.model_validate(settings | {"degrees_of_freedom": DF}), latent_dim)
    return made.double()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters(made: LatentFamily, n: int = 4) -> Parameters:
    raw = torch.randn((n, made.raw_width), generator=generator(1), dtype=torch.float64)
    return made.constrain(1.5 * raw)


def logistic(location: Tensor, scale: Tensor) -> Distribution:
    base = torch.distributions.Uniform(torch.zeros_like(location), torch.ones_like(location))
    transforms = [
        torch.distributions.SigmoidTransform().inv,
        torch.distributions.AffineTransform(location, scale),
    ]
    return torch.distributions.TransformedDistribution(base, transforms)


def reference(name: str, values: Parameters) -> Distribution:
    """torch's distribution of the natural variable v, for parameters as the family holds them."""
    d = torch.distributions
    if name == "gamma":
        return d.Gamma(values[0], values[1].exp())
    if name == "beta":
        return d.Beta(*values)
    if name == "dirichlet":
        return d.Dirichlet(values[0])
    location, scale = values[0], values[1].exp()
    if name == "student_t":
        return d.StudentT(DF, location, scale)
    kinds: dict[str, Callable[..., Distribution]] = {
        "normal": d.Normal,
        "laplace": d.Laplace,
        "logistic": logistic,
        "cauchy": d.Cauchy,
    }
    return kinds[name](location, scale)


def prior_parameters(name: str, latent_dim: int) -> Parameters:
    """The prior's parameters as the family holds them, written down apart from it."""
    ones = torch.ones(latent_dim, dtype=torch.float64)
    if name == "gamma":
        return PRIOR[0] * ones, math.log(PRIOR[1]) * ones
    if name == "beta":
        return PRIOR[0] * ones, PRIOR[1] * ones
    if name == "dirichlet":
        return (torch.full((latent_dim + 1,), PRIOR[0], dtype=torch.float64),)
    return 0 * ones, 0 * ones


def log_volume(name: str, v: Tensor) -> Tensor:
    """log |dv/dz| of the map from z to the natural variable."""
    if name == "gamma":
        return v.log().sum(-1)
    if name == "beta":
        return (v.log() + (1 - v).log()).sum(-1)
    return v.log().sum(-1) if name == "dirichlet" else torch.zeros(v.shape[:-1], dtype=v.dtype)


def in_z(name: str, distribution: Distribution, v: Tensor) -> Tensor:
    log_prob = distribution.log_prob(v)
    return (log_prob if name == "dirichlet" else log_prob.sum(-1)) + log_volume(name, v)


@pytest.mark.parametrize("name", FAMILIES)
def test_densities_are_those_of_torch(name: str) -> None:
    made = family(name)
    values = parameters(made)
    z, log_prob = made.rsample_with_log_prob(values, (5,), generator())
    assert z.shape == (5, 4, 3)
    torch.testing.assert_close(log_prob, in_z(name, reference(name, values), made.natural(z)))
    torch.testing.assert_close(made.log_prob(values, z), log_prob)
    prior = reference(name, prior_parameters(name, 3))
    torch.testing.assert_close(made.prior_log_prob(z), in_z(name, prior, made.natural(z)))
    assert torch.equal(made.rsample(values, (5,), generator()), z)


@pytest.mark.parametrize("name", FAMILIES)
def test_densities_integrate_to_one_over_the_line(name: str) -> None:
    made = family(name, 1)
    # z = sinh(t) reaches far enough for Cauchy's tails with few points.
    t = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    z, step = torch.sinh(t)[:, None], float(t[1] - t[0])
    for log_prob in (made.prior_log_prob(z), made.log_prob(parameters(made, 1), z)):
        total = float((log_prob.exp() * torch.cosh(t)).sum()) * step
        assert math.isclose(total, 1.0, rel_tol=1e-6)


def natural_cdf(name: str, values: Parameters) -> Any:
    """scipy's distribution function of the natural variable, for a latent of one dimension."""
    first, second = torch.cat([value.flatten() for value in values]).tolist()
    if name == "gamma":
        return scipy.stats.gamma(first, scale=math.exp(-second)).cdf
    if name in ("beta", "dirichlet"):
        # The first of a Dirichlet's two components is a Beta.
        return scipy.stats.beta(first, second).cdf
    if name == "student_t":
        return scipy.stats.t(DF, first, math.exp(second)).cdf
    kind = {"normal": "norm"}.get(name, name)
    return getattr(scipy.stats, kind)(first, math.exp(second)).cdf


@pytest.mark.parametrize("name", FAMILIES)
def test_draws_follow_scipy_s_distribution(name: str) -> None:
    made = family(name, 1)
    values, n = parameters(made, 1), 20_000
    drawn = {
        "posterior": (made.rsample(values, (n,), generator()), values),
        "prior": (made.prior_sample(n, generator()), prior_parameters(name, 1)),
    }
    for z, of in drawn.values():
        first = made.natural(z)[..., 0].flatten().numpy()
        assert scipy.stats.kstest(first, natural_cdf(name, of)).pvalue > 1e-3


def of_z(name: str, made: LatentFamily, z: Tensor) -> Tensor:
    """A test function whose mean has a closed form, for z of one dimension: ``[...]``."""
    if isinstance(made, LocationScale):
        return (1 / (1 + z.square()) if name == "cauchy" else z.square()).squeeze(-1)
    v = made.natural(z)
    return v[..., 0] if name != "dirichlet" else (v * torch.tensor([2.0, -1.0, 0.5][: v.shape[-1]])).sum(-1)


def expected_of_z(name: str, values: Parameters) -> Tensor:
    """The closed form of that mean."""
    first = values[0][..., 0]
    if name == "dirichlet":
        shares = values[0] / values[0].sum(-1, keepdim=True)
        return (shares * torch.tensor([2.0, -1.0, 0.5][: shares.shape[-1]])).sum(-1)
    second = values[1][..., 0]
    if name == "gamma":
        return first * (-second).exp()
    if name == "beta":
        return first / (first + second)
    scale = second.exp()
    if name == "cauchy":
        # 1 / (1 + z^2) is pi times the standard Cauchy density, and Cauchys convolve to Cauchys.
        return (1 + scale) / ((1 + scale).square() + first.square())
    variance = {"normal": 1.0, "laplace": 2.0, "logistic": math.pi**2 / 3, "student_t": DF / (DF - 2)}[name]
    return first.square() + variance * scale.square()


def per_draw_gradients(values: Parameters, n: int, surrogate: Callable[[Parameters], Tensor]) -> Tensor:
    """Gradients of each draw's term in the parameters, ``[n, number of parameters]``."""
    leaves = tuple(value.expand(n, -1).clone().requires_grad_() for value in values)
    return torch.cat(torch.autograd.grad(surrogate(leaves).sum(), leaves), -1)


def mean_and_error(gradients: Tensor) -> tuple[Tensor, Tensor]:
    return gradients.mean(0), gradients.std(0) / math.sqrt(len(gradients))


@pytest.mark.parametrize("name", FAMILIES)
def test_pathwise_gradient_is_the_score_function_s_and_the_closed_form_s(name: str) -> None:
    made, n = family(name, 2 if name == "dirichlet" else 1), 300_000
    values = tuple(value[0].detach() for value in parameters(made, 1))
    baseline = expected_of_z(name, values)

    def pathwise(leaves: Parameters) -> Tensor:
        return of_z(name, made, made.rsample(leaves, (), generator(2)))

    def score(leaves: Parameters) -> Tensor:
        z = made.rsample(leaves, (), generator(3)).detach()
        return (of_z(name, made, z) - baseline) * made.log_prob(leaves, z)

    path, path_error = mean_and_error(per_draw_gradients(values, n, pathwise))
    estimate, score_error = mean_and_error(per_draw_gradients(values, n, score))
    leaves = tuple(value.clone().requires_grad_() for value in values)
    exact = torch.cat(torch.autograd.grad(expected_of_z(name, leaves).sum(), leaves), -1)
    assert bool((exact.abs() > 0.02).any())
    assert bool(((path - exact).abs() < 3 * path_error + 1e-12).all())
    assert bool(((path - estimate).abs() < 3 * (path_error.square() + score_error.square()).sqrt()).all())
    # Errors small enough to distinguish a wrong gradient from the right one.
    assert float((path_error / exact.abs().max()).max()) < 0.03


@pytest.mark.parametrize("name", FAMILIES)
def test_kl_is_that_of_torch(name: str) -> None:
    made = family(name)
    values = parameters(made)
    kl = made.kl(values)
    if name in ("student_t", "logistic"):
        assert kl is None
        return
    assert kl is not None
    assert kl.shape == (4, 3)
    expected = kl_divergence(reference(name, values), reference(name, prior_parameters(name, 3)))
    torch.testing.assert_close(kl.sum(-1), expected if name == "dirichlet" else expected.sum(-1))
    if name != "dirichlet":
        torch.testing.assert_close(kl, expected)


def test_a_dirichlet_s_kl_comes_apart_into_those_of_its_sticks() -> None:
    made = family("dirichlet")
    assert isinstance(made, Dirichlet)
    (a,), (a0,) = parameters(made), made.prior()
    for i in range(3):
        posterior = torch.distributions.Beta(a[:, i], a[:, i + 1 :].sum(-1))
        prior = torch.distributions.Beta(a0[i], a0[i + 1 :].sum(-1))
        kl = made.kl((a,))
        assert kl is not None
        torch.testing.assert_close(kl[:, i], kl_divergence(posterior, prior))


@pytest.mark.parametrize("name", FAMILIES)
def test_draws_weigh_to_the_kl(name: str) -> None:
    """E_q[log q - log p] is the KL, in the coordinates of z as in any other; it is never negative."""
    made = family(name)
    values = parameters(made)
    z, log_prob = made.rsample_with_log_prob(values, (40_000,), generator())
    ratios = log_prob - made.prior_log_prob(z)
    mean, error = mean_and_error(ratios)
    kl = made.kl(values)
    if kl is not None:
        assert bool(((mean - kl.sum(-1)).abs() < 4 * error).all())
    assert bool((mean > 0).all())


@pytest.mark.parametrize("name", FAMILIES)
def test_location_is_the_mean_of_z_or_its_median(name: str) -> None:
    made = family(name)
    values = parameters(made)
    z, location = made.rsample(values, (40_000,), generator()), made.location(values)
    if name == "cauchy":
        mean, error = mean_and_error((z < location).double() - 0.5)
        assert bool((mean.abs() < 4 * error).all())
        return
    mean, error = mean_and_error(z)
    assert bool(((mean - location).abs() < 4 * error).all())


def test_dirichlet_variables_lie_on_the_simplex_with_one_component_more_than_z() -> None:
    made = family("dirichlet")
    v = made.natural(made.prior_sample(50, generator()))
    assert v.shape == (50, made.natural_width) == (50, 4)
    torch.testing.assert_close(v.sum(-1), torch.ones(50, dtype=torch.float64))
    assert bool((v > 0).all())


@pytest.mark.parametrize("name", ["normal", "cauchy", "gamma", "beta", "dirichlet"])
def test_decoder_inputs_are_standardised_under_the_prior(name: str) -> None:
    made = family(name)
    inputs = made.decoder_input(made.prior_sample(100_000, generator()))
    assert inputs.shape == (100_000, made.natural_width)
    torch.testing.assert_close(inputs.mean(0), torch.zeros(made.natural_width).double(), atol=0.02, rtol=0)
    torch.testing.assert_close(inputs.std(0), torch.ones(made.natural_width).double(), atol=0.02, rtol=0)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("raw", [-40.0, -8.0, 0.0, 8.0, 40.0])
def test_draws_densities_and_gradients_stay_finite_in_float32(name: str, raw: float) -> None:
    """Concentrations of a thousandth put a Gamma draw far below the smallest float; its z is still finite."""
    made = family(name).float()
    outputs = torch.full((5_000, made.raw_width), raw, requires_grad=True)
    z, log_prob = made.rsample_with_log_prob(made.constrain(outputs), (), generator())
    (gradient,) = torch.autograd.grad(log_prob.sum() + torch.tanh(z).sum(), outputs)
    for tensor in (z, log_prob, gradient, made.natural(z) if raw < 8 else z):
        assert bool(torch.isfinite(tensor).all())


def test_gradient_of_draws_agrees_for_small_concentrations_too() -> None:
    """E log g is digamma(a) for g ~ Gamma(a): its slope is trigamma, the larger the smaller a is."""
    made = family("gamma", 1)
    for a in (0.02, 0.3, 1.0, 30.0):
        values = (torch.tensor([a], dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
        gradients = per_draw_gradients(
            values, 100_000, lambda leaves: made.rsample(leaves, (), generator()).squeeze(-1)
        )
        mean, error = mean_and_error(gradients)
        trigamma = float(torch.special.polygamma(1, values[0]))
        assert abs(float(mean[0]) - trigamma) < 3 * float(error[0]) < 0.05 * trigamma


def test_settings_that_cannot_be_are_refused() -> None:
    base = {"family": "x", "view": "binary"}
    for bad, match in (
        ({"posterior": "weibull"}, "'normal', 'laplace', 'student_t'"),
        ({"degrees_of_freedom": 2.0}, "greater than 2"),
        ({"prior_parameters": [1.0, 0.0]}, "greater than 0"),
    ):
        with pytest.raises(ValidationError, match=match):
            PosteriorSettings.model_validate(base | bad)
