from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import CapabilityError, SettingsError
from dgmbench.models.autoencoders.autoencoder import AutoEncoder, AutoEncoderSettings
from dgmbench.models.autoencoders.chains import (
    contractive_chain,
    corrupt,
    denoising_chain,
    local_step,
    scale_of_steps,
)
from dgmbench.models.autoencoders.contraction import encoder_jacobian
from dgmbench.models.autoencoders.reconstruction import rate_divergence
from dgmbench.models.capabilities import (
    CanDecode,
    CanEncode,
    CanReconstruct,
    CanSample,
    Finishes,
    HasObservationModel,
    SamplesInWays,
)
from dgmbench.models.parts.densities import standard_normal_log_prob
from dgmbench.models.registry import family_class
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Part
from dgmbench.training.outcome import How, Outcome

LEVELS = 17
REGULARISERS = ("none", "sparse", "denoising", "contractive")
BODIES: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [12]},
    "conv": {"body": "conv", "channels": [3, 4]},
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(view: str = "gray", shape: tuple[int, int, int] = (1, 4, 4), **settings: Any) -> AutoEncoder:
    base: dict[str, Any] = {
        "family": "autoencoder",
        "view": view,
        "latent_dim": 3,
        "hidden": [12],
        "mixture_components": [1, 2],
        "chain_steps": 3,
        "chain_starts": 20,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoEncoder(AutoEncoderSettings.model_validate(base | settings), image_schema(shape, LEVELS))


def images(n: int = 60) -> Examples:
    """Stripes of random brightness: discrete images that have something to learn."""
    rows = torch.randint(LEVELS, (n + 20, 1, 4, 1), generator=generator(1))
    flat = rows.expand(-1, 1, 4, 4).to(torch.uint8)
    return Examples(Part(flat[:n]), Part(flat[n:]), 0, (flat[n:] > 8).to(torch.uint8))


def batch(view: str, n: int = 10) -> Tensor:
    x = torch.rand((n, 1, 4, 4), generator=generator(2))
    return (x < 0.5).float() if view == "binary" else x


def finished(view: str = "gray", **settings: Any) -> AutoEncoder:
    """With random weights, and densities and chains fitted to random images."""
    model = make(view, **settings)
    model.finish(Batch(batch(view, 50)), Batch(batch(view, 20)), generator(3))
    return model.eval()


# Objective


def test_errors_are_cross_entropy_and_squared_error_summed_over_pixels() -> None:
    model, x = make("binary"), batch("binary")
    expected = -torch.distributions.Bernoulli(probs=model.decode(model.encode(x))).log_prob(x)
    torch.testing.assert_close(model.reconstruction_error(x, x), expected.sum((1, 2, 3)))
    model, x = make("gray"), batch("gray")
    expected = (x - model.decode(model.encode(x))).square()
    torch.testing.assert_close(model.reconstruction_error(x, x), expected.sum((1, 2, 3)))


@pytest.mark.parametrize("view", ["binary", "gray"])
def test_plain_objective_is_the_error_and_decay_adds_the_decoder_s_squares(view: str) -> None:
    model, x = make(view, decoder_decay=0.1), batch(view)
    error = model.reconstruction_error(x, x).mean()
    squares = sum(
        float(p.detach().square().sum()) for n, p in model.decoder.named_parameters() if "weight" in n
    )
    torch.testing.assert_close(model.validation_losses(Batch(x), generator())["loss"], error)
    torch.testing.assert_close(model.step(Batch(x), "model", generator())["loss"], error + 0.1 * squares)


@pytest.mark.parametrize("body", BODIES)
def test_contractive_penalty_is_the_autograd_jacobian_in_pixel_units(body: str) -> None:
    model = make(regulariser="contractive", penalty=0.3, **BODIES[body]).double()
    x = batch("gray").double()
    jacobian = torch.stack(
        [torch.autograd.functional.jacobian(lambda u: model.encode(u[None])[0], image) for image in x]
    )
    norms = jacobian.flatten(1).square().sum(1)
    torch.testing.assert_close(model.contraction(x), norms)
    losses = model.step(Batch(x), "model", generator())
    torch.testing.assert_close(losses["loss"], losses["reconstruction"] + 0.3 * norms.mean())
    some = make(regulariser="contractive", penalty=0.3, penalty_images=4, **BODIES[body]).double()
    torch.testing.assert_close(some.step(Batch(x), "model", generator())["penalty"], norms[:4].mean())


def test_sparse_penalty_is_the_divergence_from_the_target_rate() -> None:
    model, x = make(regulariser="sparse", penalty=2.0, target_rate=0.1), batch("gray")
    code = model.encode(x)
    assert bool(((code > 0) & (code < 1)).all())
    target, rate = (torch.distributions.Bernoulli(probs=p) for p in (torch.tensor(0.1), code.mean(0)))
    expected = torch.distributions.kl_divergence(target, rate).sum()
    torch.testing.assert_close(rate_divergence(code, 0.1), expected)
    losses = model.step(Batch(x), "model", generator())
    torch.testing.assert_close(losses["loss"], losses["reconstruction"] + 2 * expected)


def test_sparse_training_makes_codes_that_are_seldom_on() -> None:
    """Lifetime activity (mean rate)^2 / mean squared rate: 1 for a constant code, small for a sparse one."""
    rates, activity = [], []
    for penalty in (0.0, 0.3):
        model = make(regulariser="sparse", penalty=penalty, latent_dim=8, hidden=[20], **_budget(40, 0.01))
        run(model)
        with torch.no_grad():
            code = model.encode((images().train.raw.float() + 0.5) / LEVELS)
        rates.append(float(code.mean()))
        activity.append(float((code.mean(0).square() / code.square().mean(0)).mean()))
    assert rates[1] < 0.15 < 0.4 < rates[0]
    assert activity[1] < 0.75 * activity[0]


def test_contractive_training_shrinks_the_jacobian_in_units_of_the_code() -> None:
    ratios = []
    for penalty in (0.0, 0.1):
        model = make(regulariser="contractive", penalty=penalty, decoder_decay=1e-3, **_budget(40, 0.01))
        run(model)
        x = (images().train.raw.float() + 0.5) / LEVELS
        with torch.no_grad():
            ratios.append(float(model.contraction(x).mean() / model.encode(x).var(0).sum()))
    assert ratios[1] < 0.8 * ratios[0]


def test_denoising_objective_is_the_error_of_x_from_its_corruption() -> None:
    model, x = make(regulariser="denoising", corruption_level=0.4), batch("gray")
    expected = model.reconstruction_error(x, model.corrupt(x, generator(7))).mean()
    torch.testing.assert_close(model.step(Batch(x), "model", generator(7))["loss"], expected)
    assert float(model.validation_losses(Batch(x), generator(7))["clean"].detach()) < float(expected.detach())


@pytest.mark.parametrize("view", ["binary", "gray"])
def test_walkback_averages_the_errors_along_the_model_s_own_chain(view: str) -> None:
    settings: dict[str, Any] = {"regulariser": "denoising", "corruption": "masking"}
    model, x, noise = make(view, walkback=1, **settings), batch(view), generator(7)
    seen = model.corrupt(x, noise)
    first = model.reconstruction_error(x, seen).mean()
    mean = model.decode(model.encode(seen)).detach()
    walked = model.pixels(mean, first.detach() / 16, noise)
    second = model.reconstruction_error(x, model.corrupt(walked, noise)).mean()
    torch.testing.assert_close(model.step(Batch(x), "model", generator(7))["loss"], (first + second) / 2)
    # Epochs and entries are compared without it.
    torch.testing.assert_close(model.validation_losses(Batch(x), generator(7))["loss"], first)


def test_a_linear_auto_encoder_loses_what_principal_components_lose() -> None:
    """Baldi & Hornik 1989: with linear maps and squared error, the optimum spans the leading components."""
    x = (torch.randn(80, 16, generator=generator(4)) @ torch.randn(16, 16, generator=generator(5))).double()
    settings: dict[str, Any] = {"hidden": [], "mean": "identity", "latent_dim": 4}
    model = make(**settings).double()
    shaped = x.reshape(-1, 1, 4, 4)
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=400, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = model.step(Batch(shaped), "model", generator())["loss"]
        loss.backward()
        return loss

    optimiser.step(closure)
    lost = torch.linalg.svdvals(x - x.mean(0))[4:].square().sum() / len(x)
    assert math.isclose(float(closure().detach()), float(lost), rel_tol=1e-5)


# Corruption and chains


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


# Sampling


@pytest.mark.parametrize("view", ["binary", "gray"])
@pytest.mark.parametrize("regulariser", REGULARISERS)
@pytest.mark.parametrize("body", BODIES)
def test_every_way_of_sampling_gives_images_and_repeats(view: str, regulariser: str, body: str) -> None:
    model = finished(view, regulariser=regulariser, **BODIES[body])
    expected = {"prior", "gaussian", "mixture"} | ({"chain"} if regulariser in REGULARISERS[2:] else set())
    assert isinstance(model, SamplesInWays)
    assert set(model.ways) == expected and model.way in expected
    for way in model.ways:
        draws = model.sample_by(way, 30, generator(4))
        assert draws.shape == (30, 1, 4, 4) and not draws.requires_grad
        assert float(draws.min()) >= 0 and float(draws.max()) <= 1
        assert view == "gray" or set(draws.unique().tolist()) == {0.0, 1.0}
        assert torch.equal(draws, model.sample_by(way, 30, generator(4)))
        assert not torch.equal(draws, model.sample_by(way, 30, generator(5)))
        assert float(draws.std(0).max()) > 0


@pytest.mark.parametrize("sampler", ["prior", "gaussian", "mixture", "chain"])
def test_sample_is_the_way_of_the_settings_and_latents_have_its_prior(sampler: str) -> None:
    model = finished(regulariser="denoising", sampler=sampler)
    assert torch.equal(model.sample(9, generator()), model.sample_by(sampler, 9, generator()))
    z = model.prior_sample(9, generator())
    assert z.dtype == torch.float32
    density = {"prior": standard_normal_log_prob, "gaussian": model.gaussian.log_prob}
    expected = density.get(sampler, model.mixture.log_prob)(z)
    torch.testing.assert_close(model.prior_log_prob(z), expected)
    if sampler != "chain":
        torch.testing.assert_close(model.decode(z), model.sample(9, generator()))


def test_it_can_decode_and_reconstruct_but_claims_no_observation_model() -> None:
    model = make()
    for capability in (CanSample, CanEncode, CanDecode, CanReconstruct, Finishes):
        assert isinstance(model, capability)
    assert not isinstance(model, HasObservationModel)
    assert family_class("autoencoder") is AutoEncoder


def test_code_densities_are_fitted_to_the_codes_of_the_training_images() -> None:
    model, x = make(), batch("gray", 50)
    numbers = model.finish(Batch(x), Batch(batch("gray", 20)), generator(3))
    codes = model.encode(x).detach().double()
    torch.testing.assert_close(model.gaussian.means[0], codes.mean(0))
    held_out = model.encode(batch("gray", 20)).detach()
    assert math.isclose(numbers["gaussian_codes"], -float(model.gaussian.log_prob(held_out).mean()))
    assert math.isclose(numbers["mixture_codes"], -float(model.mixture.log_prob(held_out).mean()))
    assert numbers["mixture_components"] == float(model.mixture.components)


def test_every_image_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = make(), []
    encode = AutoEncoder.encode

    def counted(self: AutoEncoder, x: Tensor) -> Tensor:
        seen.append(len(x))
        return encode(self, x)

    monkeypatch.setattr(AutoEncoder, "encode", counted)
    model.finish(Batch(batch("gray", 50)), Batch(batch("gray", 20)), generator(3))
    assert sum(seen) == 70


@pytest.mark.parametrize("view", ["binary", "gray"])
def test_chains_start_from_training_images_and_fewer_than_asked_for_are_repeated(view: str) -> None:
    model = make(view, regulariser="denoising")
    x = batch(view, 8)
    model.finish(Batch(x), Batch(batch(view, 20)), generator(3))
    starts = model._start_images()
    assert len(starts) == 20
    distances = torch.cdist(starts.flatten(1), x.flatten(1))
    # Gray starts lie in the middle of their level, at most half a level from the dequantised image.
    assert float(distances.min(1).values.max()) <= (0 if view == "binary" else 4 * 0.5 / LEVELS + 1e-6)
    assert set(distances.argmin(1).tolist()) == set(range(8))


# Settings and state


def _budget(epochs: int, learning_rate: float = 1e-3) -> dict[str, Any]:
    return {"training": {"epochs": epochs, "batch_size": 20, "learning_rate": learning_rate}}


def run(model: AutoEncoder, checkpoint: Path | None = None) -> Outcome:
    how = How(torch.device("cpu"), checkpoint=checkpoint, fingerprint="x")
    return train(model, images(), model.settings.training, 0, how)


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_training_finishes_and_its_state_makes_the_same_samples(regulariser: str, tmp_path: Path) -> None:
    model = make(regulariser=regulariser, **_budget(3))
    outcome = run(model, tmp_path / "seed-0.ckpt")
    assert outcome.status == "completed"
    names = {name for _, _, split, name, _ in outcome.history if split == "valid"}
    assert {"loss", "clean", "gaussian_codes", "mixture_codes", "mixture_components"} <= names
    copy, resumed = make(regulariser=regulariser, **_budget(3)), make(regulariser=regulariser, **_budget(3))
    copy.load_state_dict(model.state_dict())
    # The checkpoint is older than the densities: going on from it fits them again.
    assert run(resumed, tmp_path / "seed-0.ckpt").history == outcome.history
    for way in model.ways:
        draws = model.sample_by(way, 20, generator())
        assert torch.equal(draws, copy.sample_by(way, 20, generator()))
        assert torch.equal(draws, resumed.sample_by(way, 20, generator()))


def test_training_lowers_the_error_and_repeats() -> None:
    first, second = (make(**_budget(20, 0.01)) for _ in range(2))
    history = run(first).history
    losses = [value for _, _, split, name, value in history if (split, name) == ("valid", "clean")]
    assert losses[-1] < 0.5 * losses[0]
    assert run(second).history == history
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_parameters_of_the_density_that_samples_are_drawn_from_count() -> None:
    networks = sum(p.numel() for p in make().parameters())
    # One Gaussian: a mean and the distinct entries of a covariance.
    assert finished(sampler="gaussian").parameter_count() == networks + 3 + 6
    assert finished(sampler="prior").parameter_count() == networks
    assert finished(mixture_components=[2]).parameter_count() == networks + 1 + 2 * (3 + 6)


def test_a_way_that_it_lacks_is_refused_by_name_and_so_is_sampling_before_the_end() -> None:
    with pytest.raises(CapabilityError, match=r"'chain': .*Valid: gaussian, mixture, prior"):
        finished().sample_by("chain", 3, generator())
    for sampler in ("gaussian", "mixture", "chain"):
        with pytest.raises(ValueError, match="fit it, or load its state, first"):
            make(regulariser="denoising", sampler=sampler).sample(3, generator())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"regulariser": "sparse", "code_activation": "identity"}, "code_activation is sigmoid or null"),
        ({"sampler": "chain"}, "sampler: chain needs regulariser: denoising or contractive"),
        ({"corruption": "masking", "corruption_level": 1.5}, "a share of pixels: at most 1"),
        ({"regulariser": "dense"}, "'none', 'sparse', 'denoising' or 'contractive'"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        make(**settings)


def test_settings_as_written_to_a_run_load_again() -> None:
    settings = make(regulariser="sparse").settings
    assert AutoEncoderSettings.model_validate(settings.model_dump(mode="json")) == settings


def test_more_levels_than_a_byte_holds_are_refused_where_images_are_kept() -> None:
    settings = make(regulariser="denoising").settings
    with pytest.raises(SettingsError, match="300 levels do not fit"):
        AutoEncoder(settings, image_schema((1, 4, 4), 300))
