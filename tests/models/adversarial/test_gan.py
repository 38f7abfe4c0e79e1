from __future__ import annotations

import torch
import torch.nn.functional as F

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.models.adversarial.gan import GAN, GANSettings


def make(**settings: object) -> GAN:
    base = {
        "family": "gan",
        "view": "gray",
        "latent_dim": 4,
        "generator_hidden": [8],
        "discriminator_hidden": [8],
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GAN(GANSettings.model_validate(base | settings), image_schema((1, 4, 4), 17))


def batch(n: int = 10) -> torch.Tensor:
    return torch.rand((n, 1, 4, 4), generator=torch.Generator().manual_seed(1))


def test_losses_are_those_of_the_paper() -> None:
    """Discriminator: -log D(x) - log(1 - D(G(z))); generator, non-saturating: -log D(G(z))."""
    model, x = make(dropout=0.0), batch()
    noise = torch.Generator().manual_seed(2)
    fake = model._noisy(model.sample(10, noise), noise)
    real, drawn = torch.sigmoid(model.discriminate(x)), torch.sigmoid(model.discriminate(fake))
    discriminator = model.step(Batch(x), "discriminator", torch.Generator().manual_seed(2))["loss"]
    generator = model.step(Batch(x), "generator", torch.Generator().manual_seed(2))["loss"]
    torch.testing.assert_close(
        discriminator, F.binary_cross_entropy(real, torch.ones(10)) - (1 - drawn).log().mean()
    )
    torch.testing.assert_close(generator, -drawn.log().mean())


def test_each_player_moves_its_own_parameters_only() -> None:
    model, x = make(), batch()
    for phase in model.phases:
        model.zero_grad(set_to_none=True)
        model.step(Batch(x), phase, torch.Generator().manual_seed(0))["loss"].backward()
        own = set(model.phase_parameters(phase))
        assert all(parameter.grad is not None for parameter in own)
    everything = [set(model.phase_parameters(phase)) for phase in model.phases]
    assert not everything[0] & everything[1]
    assert everything[0] | everything[1] == set(model.parameters())


def test_the_discriminator_s_move_gives_the_generator_no_gradient() -> None:
    model = make()
    model.step(Batch(batch()), "discriminator", torch.Generator().manual_seed(0))["loss"].backward()
    assert all(parameter.grad is None for parameter in model.phase_parameters("generator"))


def test_dropout_keeps_the_expected_activation_and_is_off_without_a_generator() -> None:
    model, x = make(dropout=0.5), batch(1)
    with torch.no_grad():
        plain = model.discriminate(x)
        noise = torch.Generator().manual_seed(0)
        many = torch.stack([model.discriminate(x, noise) for _ in range(4000)])
    assert torch.equal(plain, model.discriminate(x))
    assert many.std() > 0
    torch.testing.assert_close(many.mean(0), plain, atol=0.02, rtol=0)


def test_samples_lie_in_the_unit_interval_and_repeat() -> None:
    model = make()
    draws = model.sample(20, torch.Generator().manual_seed(3)).detach()
    assert draws.shape == (20, 1, 4, 4)
    assert 0 < float(draws.min()) < float(draws.max()) < 1
    assert torch.equal(draws, model.sample(20, torch.Generator().manual_seed(3)).detach())


def test_with_batch_norm_a_sample_does_not_depend_on_its_batch_once_trained() -> None:
    model = make(batch_norm=True)
    z = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        in_training = model.train().decode(z)[:3]
        assert not torch.allclose(in_training, model.decode(z[:3]))
        torch.testing.assert_close(model.eval().decode(z)[:3], model.decode(z[:3]))


def test_noise_is_one_level_wide() -> None:
    model = make()
    shift = model._noisy(torch.zeros(1000, 1, 4, 4), torch.Generator().manual_seed(0))
    assert float(shift.abs().max()) <= 0.5 / 17
    assert float(shift.abs().max()) > 0.49 / 17
