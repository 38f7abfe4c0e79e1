from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import CapabilityError, SettingsError
from dgmbench.evaluation.likelihood.estimators import elbo, importance_sampled_log_likelihood
from dgmbench.models.capabilities import CanEncode, CanSample, HasLogWeights, HasObservationModel
from dgmbench.models.latent.vae import VAE, VAESettings
from dgmbench.models.parts.observations import Gaussian
from dgmbench.settings import Params, model_settings

FAMILIES = ["normal", "laplace", "student_t", "logistic", "cauchy", "gamma", "beta", "dirichlet"]
LEVELS = 17


def make(view: str, **settings: Any) -> VAE:
    base = {"family": "vae", "view": view, "latent_dim": 3, "hidden": [7], "channels": [3]}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VAE(VAESettings.model_validate(base | settings), image_schema((1, 3, 3), LEVELS)).double()


def images(model: VAE | str, n: int = 6) -> Tensor:
    view = model if isinstance(model, str) else "binary" if model.view.is_binary else "gray"
    x = torch.rand((n, 1, 3, 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    if view == "binary":
        return (x < 0.5).double()
    return x if isinstance(model, str) or model.view.continuous else (x * LEVELS).long()


def generator(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LIKELIHOODS: list[tuple[str, dict[str, Any]]] = [
    ("binary", {}),
    ("gray", {}),
    ("gray", {"variance": "pixel"}),
    ("gray", {"variance": "shared", "mean": "identity"}),
    ("gray", {"likelihood": "discretised_logistic"}),
]


@pytest.mark.parametrize(
    ("view", "settings"),
    [
        *LIKELIHOODS,
        ("binary", {"body": "conv"}),
        ("gray", {"body": "conv", "likelihood": "discretised_logistic", "posterior": "laplace"}),
        *(("binary", {"posterior": name}) for name in ("laplace", "student_t", "logistic", "cauchy")),
        ("gray", {"beta": 0.3}),
    ],
)
def test_gradient_of_the_elbo_agrees_with_finite_differences(view: str, settings: dict[str, Any]) -> None:
    """Of families whose noise has no parameters; the others' gradients are implicit (test_posteriors)."""
    model, step = make(view, **settings), 1e-6
    x = images(model)
    model.step(Batch(x), "model", generator())["loss"].backward()
    checked = 0
    for parameter in model.parameters():
        assert parameter.grad is not None
        size = parameter.numel()
        for flat_index in {0, size // 2, size - 1}:
            index = torch.unravel_index(torch.tensor(flat_index), parameter.shape)
            values = []
            for sign in (1, -1):
                parameter.data[index] += sign * step
                values.append(float(model.step(Batch(x), "model", generator())["loss"].detach()))
                parameter.data[index] -= sign * step
            numeric = (values[0] - values[1]) / (2 * step)
            assert math.isclose(float(parameter.grad[index]), numeric, rel_tol=1e-5, abs_tol=1e-7)
            checked += 1
    assert checked > 12


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("view", "settings"), LIKELIHOODS)
def test_mean_log_weight_is_the_elbo_of_training(view: str, settings: dict[str, Any], name: str) -> None:
    model = make(view, posterior=name, **settings)
    x, n = images(model, 2), 20_000
    with torch.no_grad():
        weights = model.log_weights(x, n, generator()).mean(1)
        many = x.repeat(n, 1, 1, 1)
        loss = model.validation_losses(Batch(many), generator(6))["loss"]
    # Both are averages of n values of the spread that the weights have, or less where the KL is exact.
    error = math.sqrt(2 / n) * float(weights.std())
    assert abs(float(weights.mean() + loss)) < 4 * error < 0.3


def line(model: VAE) -> tuple[Tensor, Tensor]:
    """Quadrature points ``[m, 1]`` of z and their log weights ``[m]``."""
    t = torch.linspace(-25, 25, 20_001, dtype=torch.float64)
    return torch.sinh(t)[:, None], math.log(float(t[1] - t[0])) + torch.cosh(t).log()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("settings", [{}, {"likelihood": "discretised_logistic"}])
def test_weights_average_to_the_likelihood(name: str, settings: dict[str, Any]) -> None:
    """E_q[p(x, z) / q(z|x)] = p(x), by quadrature over the one dimension of z."""
    model = make("gray" if settings else "binary", posterior=name, latent_dim=1, **settings)
    x = images(model, 3)
    with torch.no_grad():
        z, log_volumes = line(model)
        joint = model.decoder_log_prob(x, z[:, None].expand(-1, 3, -1)) + model.prior_log_prob(z)[:, None]
        exact = torch.logsumexp(joint + log_volumes[:, None], 0)
        ratios = (model.log_weights(x, 40_000, generator()) - exact).exp()
    error = ratios.std(0) / math.sqrt(len(ratios))
    assert bool(((ratios.mean(0) - 1).abs() < 4 * error).all())
    assert float(error.max()) < 0.02


def linear_vae() -> tuple[VAE, torch.distributions.MultivariateNormal]:
    """A VAE without hidden layers and with one variance: its marginal is Gaussian."""
    model = make("gray", hidden=[], variance="shared", mean="identity")
    assert isinstance(model.observation, Gaussian)
    with torch.no_grad():
        model.observation.raw_log_spread.fill_(math.log(0.05))
        model.posterior_head.weight.mul_(0.3)
    (output,) = (layer for layer in model.decoder.modules() if isinstance(layer, nn.Linear))
    weights, bias = output.weight.detach(), output.bias.detach()
    variance = model.observation.parameters_of(torch.zeros(1, 9, dtype=torch.float64))[1].detach().exp()
    covariance = weights @ weights.T + variance * torch.eye(9, dtype=torch.float64)
    return model, torch.distributions.MultivariateNormal(bias, covariance)


def test_bounds_rise_to_the_exact_likelihood_of_a_linear_model() -> None:
    model, marginal = linear_vae()
    x = images(model, 64)
    bound = elbo(model.log_weights, x, 200, seed=3)
    sampled = importance_sampled_log_likelihood(model.log_weights, x, [10, 1000], seed=3, progress=False)
    exact = float(marginal.log_prob(x.flatten(1)).mean())
    assert bound.mean() < sampled[10].mean() < sampled[1000].mean() < exact + 1e-3
    # The posterior is untrained, hence a poor proposal: 1000 draws come near, one does not.
    assert exact - sampled[1000].mean() < 0.1 < exact - bound.mean()


def test_samples_follow_the_marginal_of_a_linear_model() -> None:
    model, marginal = linear_vae()
    draws = model.sample(100_000, generator()).detach().flatten(1)
    torch.testing.assert_close(draws.mean(0), marginal.mean, atol=0.02, rtol=0)
    torch.testing.assert_close(draws.T.cov(), marginal.covariance_matrix, atol=0.02, rtol=0.03)


@pytest.mark.parametrize(("view", "settings"), LIKELIHOODS)
@pytest.mark.parametrize("body", ["mlp", "conv"])
def test_samples_are_draws_of_the_domain(view: str, settings: dict[str, Any], body: str) -> None:
    model = make(view, body=body, **settings)
    draws = model.sample(200, generator())
    assert draws.shape == (200, 1, 3, 3)
    assert torch.equal(draws, model.sample(200, generator()))
    if model.view.continuous:
        return
    assert set(draws.unique().tolist()) == set(range(2 if view == "binary" else LEVELS))


@pytest.mark.parametrize("name", FAMILIES)
def test_capabilities_of_every_family(name: str) -> None:
    """Latents are points of R^n for all of them: any z has finite densities with gradients."""
    model = make("binary", posterior=name)
    for capability in (HasObservationModel, HasLogWeights, CanEncode, CanSample):
        assert isinstance(model, capability)
    x = images(model)
    codes = model.encode(x)
    assert codes.shape == model.prior_sample(6, generator()).shape == (6, model.latent_dim)
    pictures = model.decode(codes).detach()
    assert pictures.shape == x.shape
    assert 0 <= float(pictures.min()) <= float(pictures.max()) <= 1
    z = 10 * torch.randn((4, 6, 3), generator=generator(), dtype=torch.float64)
    z.requires_grad_()
    density = model.decoder_log_prob(x, z) + model.prior_log_prob(z)
    (slope,) = torch.autograd.grad(density.sum(), z)
    assert bool(torch.isfinite(density).all() and torch.isfinite(slope).all())
    assert bool((slope != 0).all())


def test_kl_per_dimension_adds_up_to_the_elbo_s() -> None:
    for name in FAMILIES:
        model = make("binary", posterior=name)
        x = images(model)
        if name in ("student_t", "logistic"):
            with pytest.raises(CapabilityError, match="log_weights estimates it"):
                model.kl_per_dimension(x)
            continue
        total = model.validation_losses(Batch(x), generator())["kl"]
        torch.testing.assert_close(model.kl_per_dimension(x).sum(-1).mean(), total)


def test_the_kl_is_weighed_in_training_alone() -> None:
    plain, weighed = make("binary"), make("binary", beta=0.25)
    x = images(plain)
    losses = weighed.step(Batch(x), "model", generator())
    torch.testing.assert_close(losses["loss"], losses["reconstruction"] + 0.25 * losses["kl"])
    held_out = weighed.validation_losses(Batch(x), generator())
    assert held_out == plain.validation_losses(Batch(x), generator())
    torch.testing.assert_close(held_out["loss"], held_out["reconstruction"] + held_out["kl"])
    torch.testing.assert_close(plain.step(Batch(x), "model", generator())["loss"], held_out["loss"])


def kl_weight(model: VAE, x: Tensor) -> float:
    losses = model.step(Batch(x), "model", generator())
    return float(((losses["loss"] - losses["reconstruction"]) / losses["kl"]).detach())


def test_the_weight_rises_from_zero_step_by_step_and_survives_a_checkpoint() -> None:
    model = make("binary", beta=2.0, kl_warmup_steps=4)
    x = images(model)
    held_out = model.validation_losses(Batch(x), generator())
    # Out of training the whole weight is in force, and a call is no step.
    assert kl_weight(model.eval(), x) == pytest.approx(2.0)
    model.train()
    assert [kl_weight(model, x) for _ in range(2)] == pytest.approx([0.0, 0.5])
    # A look at the validation images is no step.
    assert model.validation_losses(Batch(x), generator()) == held_out
    assert held_out == make("binary").validation_losses(Batch(x), generator())
    resumed = make("binary", beta=2.0, kl_warmup_steps=4)
    resumed.load_state_dict(model.state_dict())
    for each in (model, resumed):
        assert [kl_weight(each, x) for _ in range(4)] == pytest.approx([1.0, 1.5, 2.0, 2.0])


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"likelihood": "gaussian"}, "'models.vae.likelihood' is 'gaussian'.*binary images take: bernoulli"),
        (
            {"view": "gray", "likelihood": "bernoulli"},
            "'models.vae.likelihood' is 'bernoulli'.*gray images take: gaussian, discretised_logistic",
        ),
        ({"posterior": "normall"}, "'models.vae.posterior' is 'normall'.*'normal', 'laplace'"),
        ({"kl_warmup": 5}, "unknown key 'models.vae.kl_warmup': did you mean 'kl_warmup_steps'"),
    ],
)
def test_impossible_settings_are_told_by_key_with_what_works(bad: dict[str, Any], sentence: str) -> None:
    block = {"family": "vae", "view": "binary"} | bad
    params = Params.model_validate(
        {"pipeline": "p", "datasets": ["digits"], "seeds": [0], "models": {"vae": block}}
    )
    with pytest.raises(SettingsError, match=sentence):
        model_settings(params, "vae")


def test_too_many_halvings_are_refused_when_the_model_is_built() -> None:
    with pytest.raises(SettingsError, match="3x3 image can be halved 1 times"):
        make("binary", body="conv", channels=[4, 4])


@pytest.mark.parametrize("name", FAMILIES)
def test_training_finds_what_the_latents_are_for(name: str) -> None:
    """Two images, mixed: a model that uses z beats the best one that does not, which pays log 2 a pixel."""
    model = make("binary", posterior=name, latent_dim=2, hidden=[16]).float()
    first = (torch.arange(9) % 2).float().reshape(1, 1, 3, 3)
    x = torch.cat([first, 1 - first]).repeat(32, 1, 1, 1)
    optimiser, noise = torch.optim.Adam(model.parameters(), 0.02), generator()
    for _ in range(200):
        optimiser.zero_grad()
        model.step(Batch(x), "model", noise)["loss"].backward()
        optimiser.step()
    with torch.no_grad():
        loss = float(model.validation_losses(Batch(x.repeat(20, 1, 1, 1)), generator())["loss"])
    # log 2 is the least possible: which of the two images it is. Cauchy's tails cost it most, some 3 nats.
    assert math.log(2) - 0.1 < loss < 3.5 < 9 * math.log(2)


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("view", "settings"),
    [
        *LIKELIHOODS,
        ("binary", {"body": "conv"}),
        ("binary", {"activation": "relu", "posterior": "dirichlet"}),
        ("binary", {"posterior": "cauchy"}),
    ],
)
def test_prepared_log_weights_are_the_log_weights(
    view: str, settings: dict[str, Any], precision: torch.dtype
) -> None:
    base = {"family": "vae", "view": view, "latent_dim": 3, "hidden": [7, 5], "channels": [3]}
    model = VAE(VAESettings.model_validate(base | settings), image_schema((1, 4, 4), LEVELS)).to(precision)
    x = (torch.rand((6, 1, 4, 4), generator=generator()) < 0.5).to(precision)
    if not model.view.is_binary:
        x = 0.1 + 0.5 * x if model.view.continuous else 3 * x.long()
    prepared = model.log_weights_of(x)
    for seed in (5, 6):
        expected = model.log_weights(x, 40, generator(seed))
        torch.testing.assert_close(prepared(40, generator(seed)), expected, rtol=2e-5, atol=2e-5)
