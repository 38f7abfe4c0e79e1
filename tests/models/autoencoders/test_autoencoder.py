"""Auto-encoders as generators: ways of sampling, settings, state."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from small_autoencoders import BODIES, LEVELS, REGULARISERS, batch, budget, finished, generator, make, run
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import CapabilityError, SettingsError
from dgmbench.models.autoencoders.autoencoder import AutoEncoder, AutoEncoderSettings
from dgmbench.models.capabilities import (
    CanDecode,
    CanEncode,
    CanReconstruct,
    CanSample,
    HasObservationModel,
    SamplesInWays,
)
from dgmbench.models.hooks import Finishes
from dgmbench.models.parts.densities import standard_normal_log_prob
from dgmbench.models.registry import family_class

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


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_training_finishes_and_its_state_makes_the_same_samples(regulariser: str, tmp_path: Path) -> None:
    model = make(regulariser=regulariser, **budget(3))
    outcome = run(model, tmp_path / "seed-0.ckpt")
    assert outcome.status == "completed"
    names = {name for _, _, split, name, _ in outcome.history if split == "valid"}
    assert {"loss", "clean", "gaussian_codes", "mixture_codes", "mixture_components"} <= names
    copy, resumed = make(regulariser=regulariser, **budget(3)), make(regulariser=regulariser, **budget(3))
    copy.load_state_dict(model.state_dict())
    # The checkpoint is older than the densities: going on from it fits them again.
    assert run(resumed, tmp_path / "seed-0.ckpt").history == outcome.history
    for way in model.ways:
        draws = model.sample_by(way, 20, generator())
        assert torch.equal(draws, copy.sample_by(way, 20, generator()))
        assert torch.equal(draws, resumed.sample_by(way, 20, generator()))


def test_training_lowers_the_error_and_repeats() -> None:
    first, second = (make(**budget(20, 0.01)) for _ in range(2))
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
