"""The kernel density against its definition, quadrature and itself under other cuts of the stream."""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from torch import Tensor

from dgmbench import kernel_density
from dgmbench.kernel_density import gaussian_kernel_log_density

BANDWIDTHS = [0.05, 0.2, 1.0]


def images(n: int, seed: int, width: int = 40) -> Tensor:
    return torch.rand(n, width, generator=torch.Generator().manual_seed(seed))


def by_definition(centres: Tensor, x: Tensor, bandwidth: float) -> np.ndarray:
    squared = ((x.double()[:, None] - centres.double()[None]) ** 2).sum(2).numpy()
    norm = centres.shape[1] * math.log(bandwidth * math.sqrt(2 * math.pi)) + math.log(len(centres))
    return logsumexp(-squared / (2 * bandwidth**2), axis=1) - norm


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_density, "POINT_BLOCK", 7)
    monkeypatch.setattr(kernel_density, "CENTRE_BLOCK", 16)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_every_bandwidth_agrees_with_the_definition(offset: float) -> None:
    centres, x = images(300, 0).double() + offset, images(120, 1).double() + offset
    ours = gaussian_kernel_log_density(centres, x, BANDWIDTHS)
    assert ours.shape == (120, 3) and ours.dtype == torch.float64
    for column, bandwidth in enumerate(BANDWIDTHS):
        expected = by_definition(centres, x, bandwidth)
        np.testing.assert_allclose(ours[:, column], expected, rtol=1e-12, atol=1e-9)


def test_single_precision_inputs_lose_nothing_of_what_they_hold() -> None:
    centres, x = images(300, 0), images(50, 1)
    ours = gaussian_kernel_log_density(centres, x, [0.05])[:, 0]
    np.testing.assert_allclose(ours, by_definition(centres, x, 0.05), rtol=1e-12)


@pytest.mark.parametrize("bandwidth", [0.1, 0.5])
def test_the_density_integrates_to_one_over_two_pixels(bandwidth: float) -> None:
    axis = torch.linspace(-4, 5, 451, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    density = gaussian_kernel_log_density(images(20, 0, width=2), grid, [bandwidth])[:, 0].exp()
    assert float(density.sum()) * float(axis[1] - axis[0]) ** 2 == pytest.approx(1.0, abs=1e-9)


def test_a_point_on_a_lone_centre_has_the_kernels_peak_however_narrow() -> None:
    centre = images(1, 0)
    values = gaussian_kernel_log_density(centre, centre, [1e-6, 0.3])[0].tolist()
    assert values == pytest.approx([-40 * math.log(h * math.sqrt(2 * math.pi)) for h in (1e-6, 0.3)])


def test_points_far_from_every_centre_stay_finite() -> None:
    centres = images(9, 0).double()
    far = gaussian_kernel_log_density(centres, centres[:2] + 500, [0.1])[:, 0]
    np.testing.assert_allclose(far, by_definition(centres, centres[:2] + 500, 0.1), rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 90), max_size=8))
def test_the_cut_of_the_stream_does_not_change_a_byte(cuts: list[int]) -> None:
    centres, x = images(90, 0), images(11, 1)
    edges = [0, *sorted(cuts), 90]
    chunks = [centres[a:b] for a, b in itertools.pairwise(edges)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_density, "CENTRE_BLOCK", 16)
        whole = gaussian_kernel_log_density(centres, x, BANDWIDTHS)
        cut = gaussian_kernel_log_density(iter(chunks), x, BANDWIDTHS)
    assert whole.numpy().tobytes() == cut.numpy().tobytes()


def test_block_sizes_hardly_change_the_values(small_blocks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    centres, x = images(100, 0), images(50, 1)
    small = gaussian_kernel_log_density(centres, x, BANDWIDTHS)
    monkeypatch.undo()
    whole = gaussian_kernel_log_density(centres, x, BANDWIDTHS)
    np.testing.assert_allclose(small, whole, rtol=1e-12)


def test_nothing_of_a_chunk_is_kept_once_the_stream_has_moved_on(small_blocks: None) -> None:
    seen: list[weakref.ref[Tensor]] = []

    def stream() -> Iterator[Tensor]:
        for seed in range(20):
            # When chunk i is requested, the reader may still name chunk i - 1 and no earlier one.
            assert all(reference() is None for reference in seen[:-1])
            chunk = images(11, seed)
            seen.append(weakref.ref(chunk))
            yield chunk
            del chunk

    streamed = gaussian_kernel_log_density(stream(), images(5, 99), [0.3])
    together = torch.cat([images(11, seed) for seed in range(20)])
    assert len(seen) == 20
    assert torch.equal(streamed, gaussian_kernel_log_density(together, images(5, 99), [0.3]))


def test_no_block_of_distances_is_larger_than_the_bound(
    small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, original = [], torch.addmm

    def recording(*args: Tensor, **options: float) -> Tensor:
        result = original(*args, **options)
        sizes.append(tuple(result.shape))
        return result

    monkeypatch.setattr(torch, "addmm", recording)
    gaussian_kernel_log_density(images(100, 0), images(50, 1), [0.2])
    assert max(n for n, _ in sizes) == 7 and max(m for _, m in sizes) == 16
    assert sum(n * m for n, m in sizes) == 100 * 50


def test_images_are_flattened_and_inputs_left_as_they_were() -> None:
    centres, x = images(9, 0).reshape(9, 1, 5, 8).requires_grad_(), images(4, 1).double()
    before = centres.detach().clone(), x.clone()
    values = gaussian_kernel_log_density(centres, x.reshape(4, 1, 5, 8), [0.2])
    assert torch.equal(values, gaussian_kernel_log_density(centres.flatten(1), x, [0.2]))
    assert not values.requires_grad
    assert torch.equal(before[0], centres) and torch.equal(before[1], x)


@pytest.mark.parametrize("bandwidths", [[0.0], [-1.0], [math.inf], [0.1, math.nan], [math.nan, 0.1]])
def test_impossible_bandwidths_are_refused(bandwidths: list[float]) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        gaussian_kernel_log_density(images(5, 0), images(5, 0), bandwidths)


def test_unfit_inputs_are_refused() -> None:
    x = images(5, 0)
    with pytest.raises(ValueError, match="grid of bandwidths is empty"):
        gaussian_kernel_log_density(x, x, [])
    spent = iter([x])
    gaussian_kernel_log_density(spent, x, [0.1])
    for empty in (spent, [], x[:0], [x[:0], x[:0]]):
        with pytest.raises(ValueError, match="no centres"):
            gaussian_kernel_log_density(empty, x, [0.1])
    with pytest.raises(ValueError, match="centres have 3 values each and points 40"):
        gaussian_kernel_log_density([x, x[:, :3]], x, [0.1])
    with pytest.raises(ValueError, match=r"points are empty .*\(0, 40\)"):
        gaussian_kernel_log_density(x, x[:0], [0.1])
    with pytest.raises(ValueError, match=r"centres are torch.uint8.*\[0, 1\]"):
        gaussian_kernel_log_density([x.to(torch.uint8)], x, [0.1])
    # The rows of one image set are not chunks.
    with pytest.raises(ValueError, match=r"not of shape \[n, ...\]: \(40,\)"):
        gaussian_kernel_log_density(list(x), x, [0.1])
