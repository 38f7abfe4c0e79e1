"""Sheets of class and style: rows of one style, columns of one class, the two leading dimensions."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from coded import DIMS, LEVELS, SHAPE, Coder, subject_of
from torch import Tensor, nn

from dgmbench.data.schema import image_schema
from dgmbench.evaluation.pictures.conditional_pictures import (
    GRID,
    STYLES,
    analogies,
    leading,
    style_pictures,
    style_plane,
    styles,
)
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import HasStyle
from dgmbench.models.conditional.conditional_vae import ConditionalVAE, ConditionalVAESettings
from dgmbench.models.semisupervised.m1_m2 import M1M2
from dgmbench.models.semisupervised.m2 import M2


class Styled(nn.Module):
    """The class is the brightness of the first row, z that of the first pixels of the last row."""

    classes, style_dim = 3, 4

    def __init__(self) -> None:
        super().__init__()
        self.like = nn.Parameter(torch.zeros(()))

    def style(self, x: Tensor, y: Tensor) -> Tensor:
        z = torch.zeros(len(x), self.style_dim)
        # The third varies most, then the second.
        z[:, 2], z[:, 1] = torch.arange(len(x)) / len(x), -0.5 * torch.arange(len(x)) / len(x)
        return z

    def decode_given(self, z: Tensor, y: Tensor) -> Tensor:
        images = torch.zeros(len(z), *SHAPE)
        images[:, 0, 0] = y[:, None] / 4
        images[:, 0, 3] = (0.5 + z / 8).clamp(0, 1)
        return images


def styled(tmp_path: Path) -> Subject:
    subject = subject_of(Styled(), tmp_path)
    subject.settings = SimpleNamespace(seed=5, store=None)  # type: ignore[assignment]
    return subject


def test_rows_are_styles_and_columns_are_classes(tmp_path: Path) -> None:
    subject = styled(tmp_path)
    sheet = styles(subject, Styled())
    rows = sheet.images.reshape(STYLES, 3, *SHAPE)
    assert sheet.column_labels == ("0", "1", "2")
    for row in rows:
        assert row[:, 0, 0, 0].tolist() == [0, 4, 8]
        assert (row[:, 0, 3] == row[0, 0, 3]).all()
    assert len(np.unique(rows[:, 0, 0, 3], axis=0)) > 1
    np.testing.assert_array_equal(sheet.images, styles(subject, Styled()).images)


def test_the_plane_is_of_the_dimensions_whose_means_vary_most(tmp_path: Path) -> None:
    subject, model = styled(tmp_path), Styled()
    assert leading(subject, model, 2) == (2, 1)
    sheet = style_plane(subject, model)
    grid = sheet.images.reshape(GRID, GRID, *SHAPE)[:, :, 0, 3]
    assert (grid[:, :, 0] == grid[0, 0, 0]).all() and (grid[:, :, 3] == grid[0, 0, 3]).all()
    # The first of them grows to the right, the second upwards.
    assert (np.diff(grid[:, :, 2].astype(int), axis=1) >= 0).all() and grid[0, -1, 2] > grid[0, 0, 2]
    assert (np.diff(grid[:, :, 1].astype(int), axis=0) <= 0).all() and grid[0, 0, 1] > grid[-1, 0, 1]
    assert "vary most in these of 4" in sheet.caption


def test_analogies_keep_the_style_of_a_test_image(tmp_path: Path) -> None:
    subject = styled(tmp_path)
    sheet = analogies(subject, Styled())
    rows = sheet.images.reshape(3, 4, *SHAPE)
    for label, row in enumerate(rows):
        np.testing.assert_array_equal(row[0], subject.data.images("test")[label])
        assert row[1:, 0, 0, 0].tolist() == [0, 4, 8]
        assert (row[1:, 0, 3] == row[1, 0, 3]).all()


def test_a_model_with_styles_leaves_files(tmp_path: Path) -> None:
    subject = styled(tmp_path)
    assert list(style_pictures(subject, tmp_path)) == []
    words = json.loads((tmp_path / "style-3.json").read_text())
    assert [sheet["role"] for sheet in words] == ["styles", "style_plane", "analogies"]
    assert set(np.load(tmp_path / "style-3.npz")) == {"styles", "style_plane", "analogies"}
    schema = subject.data.schema
    assert style_pictures.first_seed and style_pictures.applies_to(schema, "gray", Styled())
    assert not style_pictures.applies_to(schema, "gray", Coder())


@pytest.mark.parametrize("family", ["conditional_vae", "m2", "m1_m2"])
def test_every_model_of_class_and_style_has_them(family: str, tmp_path: Path) -> None:
    schema = image_schema(SHAPE, LEVELS, 3)
    base = {"family": family, "view": "gray", "hidden": [DIMS], "latent_dim": 3}
    model = {
        "conditional_vae": lambda: ConditionalVAE(ConditionalVAESettings.model_validate(base), schema),
        "m2": lambda: M2(M2.Settings.model_validate(base), schema),
        "m1_m2": lambda: M1M2(
            M1M2.Settings.model_validate(base | {"m1_epochs": 2, "m1_hidden": [DIMS], "m1_latent_dim": 4}),
            schema,
        ),
    }[family]()
    assert isinstance(model, HasStyle)
    subject = subject_of(model, tmp_path)
    list(style_pictures(subject, tmp_path))
    assert (tmp_path / "style-3.npz").exists()
