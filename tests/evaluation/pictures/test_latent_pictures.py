"""Ways through latent space against closed forms; sheets of a coder that loses nothing show what is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coded import DIMS, LEVELS, SHAPE, Coder, PlainCoder, PriorCoder, subject_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import geometric_slerp
from scipy.stats import norm
from torch import Tensor

from dgmbench.data.schema import image_schema
from dgmbench.evaluation.pictures.latent_pictures import (
    STRENGTHS,
    has_standard_prior,
    latent_sheets,
    pictures,
)
from dgmbench.evaluation.pictures.sheets import LatentSheet
from dgmbench.evaluation.spaces.latent_geometry import attribute_vector, linear, plane, spherical
from dgmbench.files import read_json, write_json
from dgmbench.models.adversarial.gan import GAN, GANSettings
from dgmbench.training.loading import Run

RNG = np.random.default_rng(0)


# --- geometry ---------------------------------------------------------------------------------------


def test_the_straight_way_is_even() -> None:
    starts, ends = RNG.normal(size=(3, 5)), RNG.normal(size=(3, 5))
    way = linear(starts, ends, 5)
    np.testing.assert_array_equal(way[:, 0], starts)
    np.testing.assert_array_equal(way[:, -1], ends)
    np.testing.assert_allclose(way[:, 2], (starts + ends) / 2)
    np.testing.assert_allclose(np.diff(way, axis=1), np.diff(way, axis=1)[:, :1].repeat(4, 1))


@pytest.mark.parametrize("dims", [2, 3, 40])
def test_the_arc_is_scipy_s_on_the_unit_sphere(dims: int) -> None:
    codes = RNG.normal(size=(2, dims))
    start, end = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    expected = geometric_slerp(start, end, np.linspace(0, 1, 10))
    np.testing.assert_allclose(spherical(start[None], end[None], 10)[0], expected, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 30), st.floats(0.1, 10), st.floats(0.1, 10), st.integers(0, 1000))
def test_the_arc_starts_and_ends_at_the_codes_and_keeps_their_common_length(
    dims: int, first: float, last: float, seed: int
) -> None:
    directions = np.random.default_rng(seed).normal(size=(2, dims))
    start, end = directions / np.linalg.norm(directions, axis=1, keepdims=True) * [[first], [last]]
    np.testing.assert_allclose(spherical(start[None], end[None], 9)[0, [0, -1]], [start, end], atol=1e-9)
    same = spherical(start[None], end[None] * (first / last), 9)[0]
    np.testing.assert_allclose(np.linalg.norm(same, axis=1), first)
    angles = (same[1:] * same[:-1]).sum(1) / first**2
    np.testing.assert_allclose(angles, angles[0])


@pytest.mark.parametrize("end", [[2.0, 4.0], [-1.0, -2.0], [0.0, 0.0], [1.0, 2.0]])
def test_without_an_angle_to_turn_the_arc_is_the_straight_way(end: list[float]) -> None:
    start, end_ = np.array([[1.0, 2.0]]), np.array([end])
    way = spherical(start, end_, 7)
    assert np.isfinite(way).all()
    np.testing.assert_allclose(way, linear(start, end_, 7))


def test_the_plane_is_even_on_the_unit_square_and_grows_to_the_right_and_upwards() -> None:
    def quantiles(probabilities: np.ndarray, place: int) -> np.ndarray:
        return norm.ppf(probabilities) + 100 * place

    grid = plane(4, quantiles).reshape(4, 4, 2)
    np.testing.assert_allclose(norm.cdf(grid[0, :, 0]), [0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(norm.cdf(grid[:, 0, 1] - 100), [0.875, 0.625, 0.375, 0.125])
    assert (grid[..., 0] == grid[:1, :, 0]).all() and (grid[..., 1] == grid[:, :1, 1]).all()


def test_an_attribute_is_what_the_target_has_more_than_the_source() -> None:
    codes = np.array([[0.0, 1.0], [2.0, 3.0], [10.0, 10.0], [9.0, 9.0]])
    labels = np.array([4, 4, 7, 5])
    np.testing.assert_array_equal(attribute_vector(codes, labels, source=4, target=7), [9.0, 8.0])
    np.testing.assert_array_equal(attribute_vector(codes, labels, source=7, target=4), [-9.0, -8.0])
    with pytest.raises(ValueError, match="no code of class 6"):
        attribute_vector(codes, labels, source=6, target=4)


# --- sheets -----------------------------------------------------------------------------------------


def sheets_of(model: torch.nn.Module, folder: Path, **other: Any) -> dict[str, LatentSheet]:
    found = {sheet.role: sheet for sheet in latent_sheets(subject_of(model, folder, **other))}
    for sheet in found.values():
        assert sheet.images.dtype == np.uint8
        assert sheet.images.shape == (sheet.rows * sheet.columns, *SHAPE)
        assert len(sheet.row_labels) in (0, sheet.rows) and len(sheet.column_labels) in (0, sheet.columns)
    return found


def grid(sheet: LatentSheet) -> np.ndarray:
    return sheet.images.reshape(sheet.rows, sheet.columns, DIMS).astype(int)


@pytest.mark.parametrize("model", [PlainCoder, PriorCoder])
def test_a_coder_that_loses_nothing_decodes_the_test_images(model: type[Coder], tmp_path: Path) -> None:
    found = sheets_of(model(), tmp_path)
    assert list(found) == ["reconstructions", "interpolation", "arithmetic"]
    test = subject_of(model(), tmp_path).raw("test").numpy().reshape(-1, DIMS)
    shown = grid(found["reconstructions"])
    assert found["reconstructions"].row_labels == ("test", "decoded", "test", "decoded")
    np.testing.assert_array_equal(shown[[0, 2]].reshape(20, DIMS), test[:20])
    np.testing.assert_array_equal(shown[[1, 3]], shown[[0, 2]])


def test_both_ways_lead_from_the_left_image_to_the_right_one(tmp_path: Path) -> None:
    model = PriorCoder()
    sheet = sheets_of(model, tmp_path)["interpolation"]
    assert (sheet.rows, sheet.columns, sheet.levels) == (10, 12, LEVELS)
    shown, test = grid(sheet), subject_of(model, tmp_path).raw("test").numpy().reshape(-1, DIMS)
    for row in range(10):
        left, right = test[row // 2 * 2], test[row // 2 * 2 + 1]
        np.testing.assert_array_equal(shown[row, [0, 1, -2, -1]], [left, left, right, right])
    # The code is linear in the image, so the straight way is a cross-fade.
    share = np.linspace(0, 1, 10)[:, None]
    expected = (1 - share) * test[0] + share * test[1]
    assert np.abs(shown[0, 1:-1] - expected).max() <= 0.5 + 1e-6
    arc = spherical(test[:1].astype(float), test[1:2].astype(float), 10)[0]
    assert np.abs(shown[1, 1:-1] - arc.clip(0, LEVELS - 1)).max() <= 0.5 + 1e-6


def test_arithmetic_adds_what_training_images_of_the_other_class_have_more(tmp_path: Path) -> None:
    model = PlainCoder()
    sheet = sheets_of(model, tmp_path)["arithmetic"]
    assert (sheet.rows, sheet.row_labels) == (1, ("0 to 1",))
    assert sheet.column_labels == ("test", "0", "0.25", "0.5", "0.75", "1", "1.25", "1.5")
    subject = subject_of(model, tmp_path)
    # The probes' pool of training images, not all of them.
    train, labels = subject.raw("train", 40).numpy().reshape(40, DIMS), np.arange(40) % 3
    difference = train[labels == 1].mean(0) - train[labels == 0].mean(0)
    first = subject.raw("test").numpy().reshape(-1, DIMS)[0]
    np.testing.assert_array_equal(grid(sheet)[0, 0], first)
    expected = (first + np.array(STRENGTHS)[:, None] * difference).clip(0, LEVELS - 1)
    assert np.abs(grid(sheet)[0, 1:] - expected).max() <= 0.5 + 1e-6


def test_a_plane_is_drawn_for_two_latents_and_only_then(tmp_path: Path) -> None:
    model = PriorCoder(latent_dim=2)
    sheet = sheets_of(model, tmp_path)["manifold"]
    assert (sheet.rows, sheet.columns) == (20, 20)
    assert "N(0, 1)" in sheet.caption
    steps = norm.ppf((np.arange(20) + 0.5) / 20)
    corner = model.decode(torch.tensor([[steps[0], steps[-1]]], dtype=torch.float64))
    expected = (corner * (LEVELS - 1)).round().clamp(0, LEVELS - 1)
    np.testing.assert_array_equal(grid(sheet)[0, 0], expected.flatten())
    assert "manifold" not in sheets_of(PriorCoder(latent_dim=3), tmp_path)


def test_without_a_standard_prior_the_plane_covers_the_training_codes(tmp_path: Path) -> None:
    model = PlainCoder(latent_dim=2)
    sheet = sheets_of(model, tmp_path)["manifold"]
    assert "quantiles of training codes" in sheet.caption
    codes = model.encode(subject_of(model, tmp_path).pixels("train", 40)).numpy()
    low = np.quantile(codes, 0.025, axis=0)
    corner = model.decode(torch.from_numpy(low[None]))
    expected = (corner * (LEVELS - 1)).round().clamp(0, LEVELS - 1)
    np.testing.assert_array_equal(grid(sheet)[-1, 0], expected.flatten())


def test_a_prior_is_standard_by_its_density() -> None:
    class Wide(PriorCoder):
        def prior_log_prob(self, z: Tensor) -> Tensor:
            return torch.distributions.Normal(0.0, 1.1).log_prob(z).sum(-1)

    assert has_standard_prior(PriorCoder())
    assert not has_standard_prior(Wide())
    assert not has_standard_prior(PlainCoder())


def test_binary_images_and_their_probabilities_have_256_levels(tmp_path: Path) -> None:
    found = sheets_of(PriorCoder(), tmp_path, view="binary")
    assert {sheet.levels for sheet in found.values()} == {256}
    assert set(np.unique(grid(found["reconstructions"]))) == {0, 255}
    assert len(np.unique(grid(found["interpolation"]))) > 3


def test_without_labels_there_is_no_arithmetic_and_few_images_give_small_sheets(tmp_path: Path) -> None:
    assert list(sheets_of(PlainCoder(), tmp_path, classes=None)) == ["reconstructions", "interpolation"]
    found = sheets_of(PlainCoder(), tmp_path, sizes={"train": 5, "test": 3})
    assert (found["reconstructions"].rows, found["reconstructions"].columns) == (2, 3)
    assert found["interpolation"].rows == 2


def test_decoded_images_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    class Broken(PriorCoder):
        def decode(self, z: Tensor) -> Tensor:
            return super().decode(z) / 0.0

    with pytest.raises(ValueError, match="decoded images that are not finite"):
        list(latent_sheets(subject_of(Broken(), tmp_path)))


# --- files ------------------------------------------------------------------------------------------


def test_sheets_and_their_words_are_written_and_no_image_is_encoded_with_a_limit_of_its_own(
    tmp_path: Path,
) -> None:
    subject = subject_of(PriorCoder(), tmp_path)
    assert list(pictures(subject, tmp_path)) == []
    words = read_json(tmp_path / "latent-3.json")
    assert [sheet["role"] for sheet in words] == ["reconstructions", "interpolation", "arithmetic"]
    with np.load(tmp_path / "latent-3.npz") as content:
        for sheet in words:
            assert content[sheet["role"]].shape == (sheet["rows"] * sheet["columns"], *SHAPE)
            assert sheet["title"] and sheet["caption"].endswith(".") and sheet["levels"] == LEVELS
    assert set(subject.asked) == {("test", None), ("train", subject.settings.probe_pool)}


def test_only_the_first_seed_that_finished_is_pictured(tmp_path: Path) -> None:
    for seed, status in ((1, "diverged"), (2, "completed"), (3, "completed")):
        write_json(tmp_path / f"run-{seed}.json", {"seed": seed, "status": status})
    model: Any = PriorCoder()
    assert pictures.first_seed
    for seed, first in ((2, True), (3, False)):
        assert Run(model, {"seed": seed, "status": "completed"}, tmp_path).is_first == first
    (tmp_path / "run-2.json").unlink()
    assert Run(model, {"seed": 3, "status": "completed"}, tmp_path).is_first


def test_a_gan_is_left_out() -> None:
    settings = GANSettings(family="gan", view="gray", latent_dim=2, discriminator_hidden=[2])
    schema = image_schema(SHAPE, LEVELS)
    assert not pictures.applies_to(schema, "gray", GAN(settings, schema))
    assert pictures.applies_to(schema, "gray", PriorCoder())
