"""Edges of known width: ramps, steps, boxes of blur; contrast and brightness do not matter."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dgmbench.evaluation.quality.edges import edge_sharpness
from dgmbench.evaluation.quality.sharpness import edge_sharpness_ratio


def ramp(width: int) -> Tensor:
    """One image, dark to bright over so many steps."""
    return (torch.arange(20.0) - 6).clamp(0, width).div(width).expand(1, 1, 12, 20)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_an_edge_counts_one_over_its_width_whatever_its_direction_and_contrast(width: int) -> None:
    image = ramp(width)
    for form in (image, image.transpose(2, 3), 1 - image, 0.3 + 0.2 * image, image.expand(-1, 3, -1, -1)):
        assert edge_sharpness(form).tolist() == pytest.approx([1 / width])


def test_differences_are_weighed_by_their_squares() -> None:
    """A step over the whole range up, and down half of it over four pixels of 1/8 each."""
    row = torch.tensor([0.0, 0, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.5])
    assert edge_sharpness(row.expand(1, 1, 4, 9)).item() == pytest.approx((1 + 4 / 8**3) / (1 + 4 / 8**2))


def test_blur_lowers_and_noise_raises_the_ratio() -> None:
    generator = torch.Generator().manual_seed(0)
    real = F.avg_pool2d(torch.rand(40, 1, 16, 16, generator=generator).round(), 3, stride=1)
    blurred = F.avg_pool2d(real, 3, stride=1, padding=1, count_include_pad=False)
    assert edge_sharpness_ratio(real, real).ratio == pytest.approx(1.0)
    assert edge_sharpness_ratio(blurred, real).ratio < 0.8
    noisy = (real + 0.3 * torch.rand(real.shape, generator=generator)).clamp(0, 1)
    assert edge_sharpness_ratio(noisy, real).ratio > edge_sharpness_ratio(blurred, real).ratio


def test_weak_noise_on_flat_paper_is_not_taken_for_blur() -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.zeros(20, 1, 28, 28)
    real[:, :, 10:18, 10:18] = 1.0
    for deviation, least in ((0.02, 0.95), (0.05, 0.85), (0.1, 0.7)):
        noise = deviation * torch.randn(real.shape, generator=generator)
        assert least < edge_sharpness_ratio((real + noise).clamp(0, 1), real).ratio < 1.01
    assert edge_sharpness_ratio(F.avg_pool2d(real, 3, 1, 1), real).ratio < 0.5


def test_an_image_without_edges_is_at_the_end_of_all_blurring_and_blocks_do_not_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = torch.cat([torch.full((2, 1, 12, 20), 0.5), ramp(3), ramp(1)])
    whole = edge_sharpness(images)
    assert whole.tolist() == pytest.approx([0, 0, 1 / 3, 1])
    monkeypatch.setattr("dgmbench.evaluation.quality.edges.BLOCK", 3)
    torch.testing.assert_close(edge_sharpness(images), whole, rtol=0, atol=0)


def test_unfit_images_are_refused() -> None:
    for wrong in (torch.zeros(3, 4, 4), torch.zeros(0, 1, 4, 4), torch.zeros(2, 1, 4, 4, dtype=torch.uint8)):
        with pytest.raises(ValueError, match="edges need float images"):
            edge_sharpness(wrong)
    with pytest.raises(ValueError, match="not finite"):
        edge_sharpness(torch.full((2, 1, 4, 4), math.nan))
    with pytest.raises(ValueError, match="the real images have no edge"):
        edge_sharpness_ratio(ramp(2).expand(3, -1, -1, -1), torch.zeros(3, 1, 12, 20))
