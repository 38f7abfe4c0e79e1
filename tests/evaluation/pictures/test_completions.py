"""Sheets of completions: what is given stays, what is hidden is gray and then drawn; who has none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from coded import SHAPE, Coder, subject_of
from torch import Tensor

from dgmbench.evaluation.pictures.completions import DRAWS, HIDDEN, completion_sheet, completions, regions
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import CanComplete


class Filler(Coder):
    """Fills with fair coins whatever is not given."""

    domain = "binary"

    def complete(self, x: Tensor, given: Tensor, generator: torch.Generator) -> Tensor:
        coins = (torch.rand(x.shape, generator=generator) < 0.5).float()
        return torch.where(given.expand_as(x), x, coins)


def rows_of(subject: Subject) -> np.ndarray:
    sheet = completion_sheet(subject)
    assert sheet.images.dtype == np.uint8 and sheet.levels == 256
    assert len(sheet.row_labels) == sheet.rows and len(sheet.column_labels) == sheet.columns
    return sheet.images.reshape(sheet.rows, sheet.columns, *SHAPE)


def filler(tmp_path: Path) -> Subject:
    subject = subject_of(Filler(), tmp_path, view="binary")
    subject.settings = SimpleNamespace(seed=0)  # type: ignore[assignment]
    assert isinstance(subject.run.model, CanComplete)
    return subject


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (28, 20), (5, 7)])
def test_every_region_hides_some_and_gives_some(shape: tuple[int, int]) -> None:
    named = regions(*shape)
    for given in named.values():
        assert given.shape == shape and 0.2 < float(given.float().mean()) < 0.8
    assert named["lower half"][: shape[0] // 2].all() and not named["lower half"][shape[0] // 2 :].any()


def test_given_pixels_stay_and_hidden_ones_are_gray_and_then_drawn(tmp_path: Path) -> None:
    subject = filler(tmp_path)
    rows = rows_of(subject)
    named = regions(*SHAPE[1:])
    per_region = len(rows) // len(named)
    assert per_region == 2
    real = subject.raw("test", len(rows)).numpy() * 255
    for place, row in enumerate(rows):
        given = list(named.values())[place // per_region].numpy()
        np.testing.assert_array_equal(row[0], real[place])
        np.testing.assert_array_equal(row[1][:, given], real[place][:, given])
        assert (row[1][:, ~given] == HIDDEN).all()
        np.testing.assert_array_equal(
            row[2:][:, :, given], np.repeat(real[None, place], DRAWS, 0)[:, :, given]
        )
        assert set(np.unique(row[2:])) <= {0, 255}
        # Eight draws of fair coins are not all the same.
        assert row[2:][:, :, ~given].std(0).max() > 0


def test_the_sheet_repeats_to_the_byte(tmp_path: Path) -> None:
    np.testing.assert_array_equal(rows_of(filler(tmp_path)), rows_of(filler(tmp_path)))


def test_a_model_that_completes_leaves_files(tmp_path: Path) -> None:
    subject = filler(tmp_path)
    assert list(completions(subject, tmp_path)) == []
    seed = subject.run.info["seed"]
    assert (tmp_path / f"completion-{seed}.npz").exists() and (tmp_path / f"completion-{seed}.json").exists()
    schema = subject.data.schema
    assert completions.first_seed and completions.applies_to(schema, "binary", subject.run.model)
    assert not completions.applies_to(schema, "binary", Coder())
