from __future__ import annotations

import pytest
import torch
from pixelwise import blank_view, causal_window, jacobian_pattern, make, reach, to_pattern

from dgmbench.models.autoregressive.causal import CachedConv, CausalConv, ConvAbove


@pytest.mark.parametrize(("first_kernel", "kernel", "blocks"), [(3, 3, 1), (3, 3, 5), (5, 1, 2), (7, 5, 2)])
def test_receptive_field_is_that_of_stacked_masks(first_kernel: int, kernel: int, blocks: int) -> None:
    size = {"first_kernel": first_kernel, "kernel": kernel, "blocks": blocks}
    model = make("pixelcnn", "binary", (1, 6, 6), 2, **size)
    seen = reach(causal_window(first_kernel // 2, strict=True), blank_view(6, 6))
    for _ in range(blocks):
        seen = reach(causal_window(kernel // 2, strict=False), seen)
    assert torch.equal(jacobian_pattern(model), to_pattern(seen, 6, 6))


def test_deep_stacks_keep_a_blind_spot() -> None:
    """However deep, a pixel sees no further to the right than it sees up; to the left it sees all."""
    model = make("pixelcnn", "binary", (1, 5, 7), 2, first_kernel=3, blocks=7)
    pattern = jacobian_pattern(model, n=30).unflatten(0, (5, 7)).unflatten(2, (5, 7))
    rows, columns = torch.meshgrid(torch.arange(5), torch.arange(7), indexing="ij")
    i, j = 3, 2
    left = (rows == i) & (columns < j)
    cone = (rows < i) & (columns - j <= i - rows)
    assert torch.equal(pattern[i, j], left | cone)
    assert int(((rows < i) & ~cone).sum()) == 6


def test_masked_rows_are_those_of_a_masked_square_kernel() -> None:
    layer = CausalConv(2, 3, 5, groups=1, strict=True)
    x = torch.randn(2, 2, 7, 7, generator=torch.Generator().manual_seed(0))
    square = torch.zeros(3, 2, 5, 5)
    square[:, :, :3] = (layer.weight * layer.mask).detach()
    expected = torch.nn.functional.conv2d(x, square, layer.bias, padding=2)
    torch.testing.assert_close(layer(x), expected)
    assert bool((layer.mask[:, :, -1, 2:] == 0).all())


@pytest.mark.parametrize("strict", [False, True])
def test_masks_order_the_colours_within_each_gate(strict: bool) -> None:
    """Mask A: green sees red alone; mask B: green sees red and green (section 3.4); each gate alike."""
    layer = CausalConv(3, 12, 1, groups=3, strict=strict, gates=2)
    centre = layer.mask[:, :, 0, 0]
    one = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0]] if strict else [[1, 0, 0], [1, 1, 0], [1, 1, 1]])
    assert torch.equal(centre, one.float().repeat_interleave(2, 0).repeat(2, 1))


@pytest.mark.parametrize("above", [False, True])
def test_a_cached_convolution_is_the_convolution(above: bool) -> None:
    layer = CausalConv(3, 6, 5, groups=3, above=above)
    x = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    link = torch.randn(6, 2, 6, generator=torch.Generator().manual_seed(1))
    cached, expected = CachedConv(layer, 2, 6), layer(x).permute(2, 3, 0, 1)
    with torch.no_grad():
        for i in range(4):
            cached.start_row(link if i == 2 else 0.0)
            for j in range(6):
                cached.write(x[:, :, i, j], j)
                output = cached.output(j) - (link[j] if i == 2 else 0.0)
                torch.testing.assert_close(output, expected[i, j], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("strict", [False, True])
def test_a_convolution_above_sees_all_columns_of_the_rows_above(strict: bool) -> None:
    layer = ConvAbove(1, 1, 5, strict=strict)
    x = torch.zeros(1, 1, 6, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0, 0, 3, 2], x)
    expected = torch.zeros(6, 6, dtype=torch.bool)
    expected[1 : 3 if strict else 4, 0:5] = True
    assert torch.equal(gradient[0, 0] != 0, expected)


def test_a_row_layer_on_windows_is_the_convolution() -> None:
    layer = CausalConv(4, 6, 5, groups=1, above=False)
    x = torch.randn(2, 4, 3, 7, generator=torch.Generator().manual_seed(0))
    windows = layer.windows(x.permute(2, 3, 0, 1))
    output = windows @ layer.row_weight() + layer.bias
    torch.testing.assert_close(output.permute(2, 3, 0, 1), layer(x))


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="odd kernel size, not 4"):
        CausalConv(1, 1, 4, groups=1)
