"""Pictures of a GAN: what their rows are, and that models with codes are left to the other sheets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from coded import LEVELS, SHAPE, CodedSubject, Coder, PriorCoder, subject_of
from torch import Tensor

from dgmbench.data.schema import image_schema
from dgmbench.evaluation.pictures.generator_pictures import (
    arithmetic,
    generator_pictures,
    generator_sheets,
    interpolation,
    progress,
)
from dgmbench.evaluation.pictures.latent_pictures import PAIRS, STEPS, STRENGTHS
from dgmbench.files import read_json, write_json
from dgmbench.models.adversarial.gan import GAN, GANSettings


class ByBrightness(torch.nn.Module):
    """Class 0 or 1 of an image by the first latent's sign, which the GAN below paints everywhere."""

    classes = 2

    def predict(self, x: Tensor) -> Tensor:
        bright = (x.flatten(1).mean(1) > 0.5).long()
        return torch.eye(2)[bright]


def gan() -> GAN:
    settings = GANSettings(family="gan", view="gray", latent_dim=3, generator_hidden=[4], average=0.5)
    model = GAN(settings, image_schema(SHAPE, LEVELS)).eval()

    def decode(z: Tensor) -> Tensor:
        return torch.sigmoid(z[:, :1]).reshape(-1, 1, 1, 1).expand(-1, *SHAPE)

    model.decode = decode  # type: ignore[method-assign]
    return model


def subject(model: torch.nn.Module, folder: Path) -> CodedSubject:
    write_json(folder / "run-3.json", {"seed": 3, "status": "completed"})
    made = subject_of(model, folder)
    made.settings.seed = 0  # type: ignore[misc]
    made.classifier = ByBrightness()  # type: ignore[assignment]
    return made


def test_a_gan_has_all_sheets_on_file(tmp_path: Path) -> None:
    model = gan()
    model.moves.fill_(5)
    assert list(generator_pictures(subject(model, tmp_path), tmp_path)) == []
    words = read_json(tmp_path / "latent-3.json")
    assert [sheet["role"] for sheet in words] == ["progress", "interpolation", "arithmetic"]
    with np.load(tmp_path / "latent-3.npz") as arrays:
        for sheet in words:
            assert arrays[sheet["role"]].shape == (sheet["rows"] * sheet["columns"], *SHAPE)
            assert arrays[sheet["role"]].max() < sheet["levels"]


def test_models_with_codes_are_left_to_the_other_sheets(tmp_path: Path) -> None:
    list(generator_pictures(subject(PriorCoder(), tmp_path), tmp_path))
    assert not (tmp_path / "latent-3.json").exists()
    assert not generator_pictures.applies_to(image_schema(SHAPE, LEVELS), "gray", Coder())


def test_the_strip_shows_the_frames_there_are() -> None:
    model = gan()
    model.moves.fill_(9)
    model.strip[:4] = torch.arange(4, dtype=torch.uint8).reshape(4, 1, 1, 1, 1)
    sheet = progress(model)
    assert (sheet.rows, sheet.row_labels) == (4, ("1", "2", "4", "8"))
    assert sheet.images[:: sheet.columns].max(axis=(1, 2, 3)).tolist() == [0, 1, 2, 3]


def test_between_two_z_the_ends_are_those_of_the_prior(tmp_path: Path) -> None:
    model = gan()
    made = subject(model, tmp_path)
    sheet = interpolation(made, model)
    assert (sheet.rows, sheet.columns) == (2 * PAIRS, STEPS)
    values = sheet.images.reshape(sheet.rows, STEPS, -1)[:, :, 0].astype(int)
    assert (values[0::2, [0, -1]] == values[1::2, [0, -1]]).all()
    steps = np.diff(values[0::2], axis=1)
    assert ((steps >= 0).all(1) | (steps <= 0).all(1)).all()


def test_arithmetic_takes_one_class_to_the_other(tmp_path: Path) -> None:
    model = gan()
    (sheet,) = arithmetic(subject(model, tmp_path), model)
    assert (sheet.row_labels, sheet.columns) == (("0 to 1",), len(STRENGTHS))
    values = sheet.images.reshape(len(STRENGTHS), -1)[:, 0].astype(int)
    assert values[0] <= (LEVELS - 1) / 2 < values[-1]
    assert (np.diff(values) >= 0).all()


def test_without_a_classifier_or_training_there_is_less_to_show(tmp_path: Path) -> None:
    made = subject(gan(), tmp_path)
    made.classifier = None
    assert [sheet.role for sheet in generator_sheets(made, gan())] == ["interpolation"]


@pytest.mark.parametrize("moves", [0, 1])
def test_a_strip_needs_a_move(moves: int, tmp_path: Path) -> None:
    model = gan()
    model.moves.fill_(moves)
    roles = [sheet.role for sheet in generator_sheets(subject(model, tmp_path), model)]
    assert ("progress" in roles) == bool(moves)
