"""Mean images beside draws: of the very samples where they can be drawn again, and of new draws where not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from coded import LEVELS, SHAPE, CodedSubject, Coder, PriorCoder, subject_of
from torch import Tensor, nn

from dgmbench.data.schema import image_schema
from dgmbench.evaluation.pictures.mean_pictures import SHOWN, draws_and_means, mean_pictures, mean_sheets
from dgmbench.files import read_json
from dgmbench.training.seeding import generator_for

SIZE = 40


class Noisy(nn.Module):
    """One of five brightnesses, and noise of half a level's width or more around it."""

    def __init__(self, noise: float = 0.2) -> None:
        super().__init__()
        self.register_buffer("noise", torch.tensor(noise))

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randint(5, (n,), generator=generator)

    def decode(self, z: Tensor) -> Tensor:
        return (z / 4).reshape(-1, 1, 1, 1).expand(-1, *SHAPE)

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        means = self.decode(z)
        return means + self.noise * torch.randn(means.shape, generator=generator)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.decoder_sample(self.prior_sample(n, generator), generator)


class Bernoulli(Noisy):
    """Each pixel white with the brightness for its probability."""

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        means = self.decode(z)
        return (torch.rand(means.shape, generator=generator) < means).float()


class NoisyGiven(nn.Module):
    """The class is the brightness."""

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, 1, generator=generator)

    def decode_given(self, z: Tensor, y: Tensor) -> Tensor:
        return (y / 2).reshape(-1, 1, 1, 1).expand(-1, *SHAPE)

    def decoder_sample_given(self, z: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        means = self.decode_given(z, y)
        return means + 0.2 * torch.randn(means.shape, generator=generator)


def sampled(model: nn.Module, folder: Path, view: str = "gray") -> CodedSubject:
    """A subject whose samples were drawn as a training draws them, all in one batch."""
    made = subject_of(model, folder, view)
    made.run.info.update(n_samples=SIZE, sampling={"n": SIZE, "batch_size": 1000})
    if isinstance(model, NoisyGiven):
        classes = (torch.arange(SIZE) % 3).numpy()
        made.run.conditions = lambda: classes  # type: ignore[method-assign]
    images = draws_and_means(made, SIZE)[0].numpy().astype(np.uint8)
    if isinstance(model, Noisy):
        own = made.view.decode(model.sample(SIZE, generator_for("sample", 3)))
        assert (own.numpy() == images).all()
    made.run.samples = lambda: images  # type: ignore[method-assign]
    return made


@pytest.mark.parametrize(("view", "model"), [("gray", Noisy()), ("binary", Bernoulli())])
def test_the_very_samples_stand_beside_their_means(view: str, model: Noisy, tmp_path: Path) -> None:
    made = sampled(model, tmp_path, view)
    draws, means = mean_sheets(made)
    assert (draws.images == made.run.samples()[:SHOWN]).all()
    assert "first samples" in draws.caption
    assert means.levels == (LEVELS if view == "gray" else 256)
    assert (means.rows, means.columns, len(means.images)) == (6, 6, SHOWN)
    z = Noisy().prior_sample(SIZE, generator_for("sample", 3))[:SHOWN]
    assert (means.images[:, 0, 0, 0] == (z / 4 * (means.levels - 1)).round().numpy()).all()


def test_of_samples_that_cannot_be_drawn_again_the_words_say_so(tmp_path: Path) -> None:
    made = sampled(Noisy(), tmp_path)
    others = made.run.samples()[::-1].copy()
    made.run.samples = lambda: others  # type: ignore[method-assign]
    draws, means = mean_sheets(made)
    assert "not the samples that were scored" in draws.caption
    assert not (draws.images == others[:SHOWN]).all()
    brightness = draws.images.reshape(SHOWN, -1).mean(1)
    assert np.corrcoef(brightness, means.images[:, 0, 0, 0])[0, 1] > 0.9


def test_a_last_digit_of_another_processor_makes_no_other_samples(tmp_path: Path) -> None:
    made = sampled(Noisy(), tmp_path)
    images = made.run.samples().copy()
    images[0, 0, 0, 0] = (int(images[0, 0, 0, 0]) + 1) % LEVELS
    made.run.samples = lambda: images  # type: ignore[method-assign]
    draws, _ = mean_sheets(made)
    assert "first samples" in draws.caption
    assert (draws.images == images[:SHOWN]).all()


def test_given_a_class_the_means_are_of_the_samples_classes(tmp_path: Path) -> None:
    draws, means = mean_sheets(sampled(NoisyGiven(), tmp_path))
    assert "first samples" in draws.caption
    assert means.images[:6, 0, 0, 0].tolist() == [0, 8, 16, 0, 8, 16]


def test_fewer_samples_than_a_sheet_holds(tmp_path: Path) -> None:
    made = sampled(Noisy(), tmp_path)
    made.run.info["sampling"]["batch_size"] = 4
    draws, means = mean_sheets(made)
    assert (len(draws.images), draws.rows, draws.columns) == (4, 1, 4)
    assert len(means.images) == 4


def test_a_mean_outside_of_the_intensities_is_shown_at_their_end(tmp_path: Path) -> None:
    class Bright(Noisy):
        def decode(self, z: Tensor) -> Tensor:
            return super().decode(z) + 3

    _, means = mean_sheets(sampled(Bright(), tmp_path))
    assert (means.images == LEVELS - 1).all()


def test_both_sheets_are_on_file_and_it_applies_to_models_with_noise_alone(tmp_path: Path) -> None:
    assert list(mean_pictures(sampled(Noisy(), tmp_path), tmp_path)) == []
    assert [sheet["role"] for sheet in read_json(tmp_path / "means-3.json")] == ["draws", "means"]
    with np.load(tmp_path / "means-3.npz") as arrays:
        assert set(arrays.files) == {"draws", "means"}
    schema = image_schema(SHAPE, LEVELS)
    for model, applies in ((PriorCoder(), True), (NoisyGiven(), True), (Coder(), False)):
        assert mean_pictures.applies_to(schema, "gray", model) is applies
