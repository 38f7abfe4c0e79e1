"""Shifts pixel by pixel, copies whose neighbours are known, and images that a shift does not hide."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from finding_checks import check, context, table, trace
from pydantic import ValidationError

from dgmbench.controls.copies.pixel_shift import DIRECTIONS, PixelShift, PixelShiftSettings, shifted
from dgmbench.data.dataset import Dataset


def control(**settings: object) -> PixelShift:
    return PixelShift(PixelShiftSettings.model_validate({"images": 300} | settings))


def naive(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """Move [C, H, W] pixel by pixel."""
    moved = np.zeros_like(image)
    _, height, width = image.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row + down < height and 0 <= column + right < width:
                moved[:, row + down, column + right] = image[:, row, column]
    return moved


def dots(size: int, level: int) -> np.ndarray:
    """One image for every place of a single pixel, [size^2, 1, size, size]."""
    return (level * np.eye(size * size, dtype=np.uint8)).reshape(-1, 1, size, size)


def bumps(first: int) -> np.ndarray:
    """Broad bumps six pixels apart, from `first` on: one pixel's shift is little beside that."""
    row, column = np.mgrid[:40, :40]
    places = [(r, c) for r in range(first, 32, 6) for c in range(first, 32, 6)]
    squared = np.array([(row - r) ** 2 + (column - c) ** 2 for r, c in places])
    return np.round(255 * np.exp(-squared / 18)).astype(np.uint8)[:, None]


@pytest.mark.parametrize("directions", [4, 8])
@pytest.mark.parametrize("pixels", [0, 1, 2, 5])
def test_shifted_moves_each_image_in_its_direction(pixels: int, directions: int) -> None:
    images = torch.rand(17, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    moved = shifted(images, pixels, directions).numpy()
    for i, image in enumerate(images.numpy()):
        down, right = DIRECTIONS[i % directions]
        np.testing.assert_array_equal(moved[i], naive(image, pixels * down, pixels * right))


def test_plain_copies_are_found_and_shifted_digits_are_not(digits: Dataset) -> None:
    finding = control().run(context("pixel_shift", digits))
    check(finding)
    assert finding.outcome == "supported"
    values = table(finding)
    assert values["shift_0", "nn_distance_ratio"] == [0.0]
    assert values["shift_0", "nearest_is_source"] == [100.0]
    ratios = [values[f"shift_{shift}", "nn_distance_ratio"][0] for shift in (1, 2)]
    assert 1 < ratios[0] < ratios[1]
    assert values["shift_1", "nearest_is_source"][0] < 5


def test_a_copy_of_one_of_two_equal_images_is_recalled(made_up: Callable[..., Dataset]) -> None:
    train = np.concatenate([dots(4, 9), dots(4, 9)])
    data = made_up(10, train=train, valid=dots(4, 4), test=dots(4, 4))
    values = table(control(images=32, shifts=[0, 1]).run(context("any", data)))
    assert values["shift_0", "nearest_is_source"] == [100.0]


def test_dots_move_onto_each_other_so_that_distance_tells_and_the_picture_misleads(
    made_up: Callable[..., Dataset],
) -> None:
    """A dot moved by a pixel is another training image, or the blank one, which alone stays what it was."""
    blank = np.zeros((1, 1, 6, 6), np.uint8)
    data = made_up(10, train=np.concatenate([blank, dots(6, 9)]), valid=dots(6, 4), test=dots(6, 4))
    finding = control(images=37).run(context("any", data))
    check(finding)
    values = table(finding)
    assert values["shift_1", "nearest_is_source"] == [pytest.approx(100 / 37)]
    assert values["shift_1", "nn_distance_ratio"] == [0.0]
    assert finding.outcome == "contradicted"


def test_not_shown_where_a_shift_changes_little(made_up: Callable[..., Dataset]) -> None:
    data = made_up(256, train=bumps(8), valid=bumps(11), test=bumps(11))
    finding = control(shifts=[1]).run(context("any", data))
    check(finding)
    values = table(finding)
    assert values["shift_1", "nearest_is_source"] == [100.0]
    # Of bumps of width 3 that are a and b apart, distances are as the roots of 1 - exp(-a^2/36).
    far = 1 - np.exp(-18 / 36)
    low, high = (np.sqrt((1 - np.exp(-squared / 36)) / far) for squared in (1, 2))
    assert low * 0.99 < values["shift_1", "nn_distance_ratio"][0] < high * 1.01
    assert finding.outcome == "contradicted"


def test_the_passing_ratio_is_what_the_distance_is_held_against(digits: Dataset) -> None:
    assert control(passing_ratio=100).run(context("pixel_shift", digits)).outcome == "contradicted"


def test_the_sheets_show_source_copy_and_neighbour_in_one_order(digits: Dataset) -> None:
    source, copy, found = (
        torch.from_numpy(sheet.images)
        for sheet in control(directions=4).run(context("pixel_shift", digits)).sheets
    )
    assert torch.equal(copy, shifted(source, 1, 4))
    train = torch.from_numpy(digits.images("train")).double().flatten(1)
    nearest = torch.cdist(copy.double().flatten(1), train).min(1).values
    distance = (copy.double() - found.double()).flatten(1).norm(dim=1)
    torch.testing.assert_close(distance, nearest)


def test_the_smallest_true_shift_decides(digits: Dataset) -> None:
    finding = control(shifts=[2, 0]).run(context("pixel_shift", digits))
    assert finding.sentence.startswith("Moved by 2 pixels")
    assert finding.panels[0].curves[0].x == [0.0, 2.0]


def test_the_same_seed_gives_the_same_bytes(digits: Dataset) -> None:
    first, again, other = (
        trace(control().run(context("pixel_shift", digits, seed=seed))) for seed in (0, 0, 1)
    )
    assert first == again and first != other


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValidationError, match="none of them moves an image"):
        control(shifts=[0])
    for wrong in ({"shifts": [-1]}, {"shifts": []}, {"directions": 5}, {"images": 1}, {"passing_ratio": 0}):
        with pytest.raises(ValidationError):
            control(**wrong)
