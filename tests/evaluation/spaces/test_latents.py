"""Active units and divergences against closed forms; whose features count as codes, and whose do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from coded import DIMS, Coder, PlainCoder, PriorCoder, subject_of
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import CapabilityError
from dgmbench.evaluation.spaces.latents import (
    active_units,
    codes_of,
    has_codes,
    kl_per_dimension,
    latents,
    unit_variances,
)
from dgmbench.models.adversarial.gan import GAN, GANSettings
from dgmbench.models.baselines.ppca import PPCA, PPCASettings


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- active units -----------------------------------------------------------------------------------


def test_units_are_active_where_their_means_vary_by_more_than_the_threshold() -> None:
    # Variances of +-a over an even number n of images: a^2 n / (n - 1).
    amplitude = torch.tensor([0.0, 0.05, 0.0999, 0.1001, 2.0], dtype=torch.float64)
    signs = torch.tensor([1.0, -1.0]).repeat(5000)
    means = signs[:, None] * amplitude + torch.tensor([3.0, -1.0, 0.0, 7.0, 0.5])
    torch.testing.assert_close(unit_variances(means), amplitude.square() * 10_000 / 9_999)
    assert active_units(means) == 2
    assert active_units(means, threshold=1e-3) == 4
    assert active_units(means, threshold=5.0) == 0


def test_ppca_s_units_have_the_variances_of_the_closed_form() -> None:
    """Over its training images, Cov(E[z|x]) is 1 - sigma^2 / lambda for each eigenvalue lambda."""
    spread = torch.tensor([2.0, 1.0, 0.5, *[0.1] * 13])
    x = (normal(500, DIMS) * spread).reshape(-1, 1, 4, 4)
    model = PPCA(PPCASettings(family="ppca", view="gray", latent_dims=[5]), image_schema((1, 4, 4), 256))
    model.fit(Batch(x), Batch(x), torch.Generator())
    expected = 1 - model.noise_variance / model.eigenvalues[:5]
    torch.testing.assert_close(unit_variances(model.encode(x)), expected)
    assert active_units(model.encode(x), threshold=0.5) == 3


@pytest.mark.parametrize("means", [normal(1, 4), normal(4), normal(3, 2) / 0.0])
def test_means_that_have_no_variance_are_refused(means: Tensor) -> None:
    with pytest.raises(ValueError, match="posterior means"):
        active_units(means)


# --- KL per dimension -------------------------------------------------------------------------------


def test_kl_per_dimension_is_that_of_torch_averaged_over_images() -> None:
    mean, log_variance = normal(7, 5), 0.5 * normal(7, 5, seed=1)
    posterior = Normal(mean, torch.exp(0.5 * log_variance))
    expected = kl_divergence(posterior, Normal(torch.zeros_like(mean), 1.0)).mean(0)
    torch.testing.assert_close(kl_per_dimension(mean, log_variance), expected)
    assert (kl_per_dimension(torch.zeros(3, 2), torch.zeros(3, 2)) == 0).all()


def test_a_posterior_of_unequal_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one shape \[n, latent\], not \(3, 2\) and \(3, 1\)"):
        kl_per_dimension(torch.zeros(3, 2), torch.zeros(3, 1))


# --- whose features are codes -----------------------------------------------------------------------


def test_a_gan_s_features_are_no_codes_even_where_their_number_agrees(tmp_path: Path) -> None:
    settings = GANSettings(family="gan", view="gray", latent_dim=8, discriminator_hidden=[8])
    gan = GAN(settings, image_schema((1, 4, 4), 17)).eval()
    assert gan.encode(torch.rand(2, 1, 4, 4)).shape == (2, gan.latent_dim)
    assert not has_codes(gan)
    assert codes_of(subject_of(Coder(), tmp_path), "test") is None  # declares nothing, as a GAN
    assert list(latents(subject_of(gan, tmp_path), tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_an_auto_encoder_and_a_latent_variable_model_have_codes(tmp_path: Path) -> None:
    for model in (PlainCoder(), PriorCoder()):
        subject = subject_of(model, tmp_path)
        codes = codes_of(subject, "train", 40)
        assert codes is not None and codes.shape == (40, DIMS) and codes.dtype == np.float64
        assert subject.asked == [("train", 40)]


def test_features_of_another_number_than_the_latents_are_no_codes(tmp_path: Path) -> None:
    class Wider(PriorCoder):
        def encode(self, x: Tensor) -> Tensor:
            return super().encode(x).repeat(1, 2)

    assert codes_of(subject_of(Wider(), tmp_path), "test") is None
    assert list(latents(subject_of(Wider(), tmp_path), tmp_path)) == []


# --- the metric -------------------------------------------------------------------------------------


class Inferring(PriorCoder):
    """q(z|x) is N(code, exp(-code^2))."""

    def gaussian_posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encode(x)
        return code, -code.square()


class Telling(PriorCoder):
    """Has a KL of its own: the code's squares."""

    def kl_per_dimension(self, x: Tensor) -> Tensor:
        return self.encode(x).square()


class Silent(PriorCoder):
    """A family with a closed form, in an entry without."""

    def kl_per_dimension(self, x: Tensor) -> Tensor:
        raise CapabilityError("no closed form")


def test_the_metric_counts_units_and_leaves_variances_and_kls(tmp_path: Path) -> None:
    model = Inferring()
    subject = subject_of(model, tmp_path)
    (record,) = latents(subject, tmp_path)
    codes = model.encode(subject.pixels("test"))
    assert (record.metric, record.unit, record.kind, record.split) == (
        "active_units",
        "1",
        "estimate",
        "test",
    )
    assert (record.value, record.n, record.seed) == (active_units(codes), 31, 3)
    with np.load(tmp_path / "units-3.npz") as content:
        np.testing.assert_allclose(content["variances"], unit_variances(codes))
        assert (content["variances"] > content["threshold"]).sum() == record.value
        # 31 images in batches of 8: a mean of means would weigh the last seven too much.
        np.testing.assert_allclose(content["kl"], kl_per_dimension(codes, -codes.square()))


def test_a_model_s_own_kl_is_used_and_one_without_a_closed_form_is_left_out(tmp_path: Path) -> None:
    subject = subject_of(Telling(), tmp_path)
    assert len(list(latents(subject, tmp_path))) == 1
    with np.load(tmp_path / "units-3.npz") as content:
        squares = subject.run.model.encode(subject.pixels("test")).square().mean(0)  # type: ignore[operator]
        np.testing.assert_allclose(content["kl"], squares)
    for model in (Silent(), PriorCoder()):
        assert len(list(latents(subject_of(model, tmp_path), tmp_path))) == 1
        with np.load(tmp_path / "units-3.npz") as content:
            assert content.files == ["variances", "threshold"]


def test_codes_without_a_posterior_are_not_counted(tmp_path: Path) -> None:
    schema = subject_of(PlainCoder(), tmp_path).data.schema
    assert not latents.applies_to(schema, "gray", PlainCoder())
    assert latents.applies_to(schema, "gray", PriorCoder())
