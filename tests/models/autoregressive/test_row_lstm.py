from __future__ import annotations

import pytest
import torch
from pixelwise import (
    Pixel,
    Seen,
    assert_layer_is_its_equations,
    blank_view,
    causal_window,
    jacobian_pattern,
    make,
    naive_sample,
    reach,
    to_pattern,
)
from torch import Tensor

from dgmbench.models.autoregressive.row_lstm import RowLSTM, RowLSTMLayer


def reach_of_layer(seen: Seen, radius: int, height: int, width: int) -> Seen:
    """Each state has seen its inputs, which lie to the left, and what states of the row above had."""
    states: Seen = {}
    for i in range(height):
        for j in range(width):
            inputs: list[Pixel] = [(i, j - b) for b in range(radius + 1)]
            above = [(i - 1, j + b) for b in range(-radius, radius + 1)]
            parts = [seen.get(pixel, set()) for pixel in inputs] + [
                states.get(pixel, set()) for pixel in above
            ]
            states[i, j] = set().union(*parts)
    return states


@pytest.mark.parametrize(("first_kernel", "kernel", "layers"), [(3, 3, 1), (3, 3, 3), (5, 1, 1), (3, 5, 2)])
def test_receptive_field_is_a_triangle(first_kernel: int, kernel: int, layers: int) -> None:
    size = {"first_kernel": first_kernel, "kernel": kernel, "layers": layers}
    model = make("row_lstm", "binary", (1, 5, 7), 2, **size)
    seen = reach(causal_window(first_kernel // 2, strict=True), blank_view(5, 7))
    for _ in range(layers):
        seen = {pixel: seen[pixel] | new for pixel, new in reach_of_layer(seen, kernel // 2, 5, 7).items()}
    expected = to_pattern(seen, 5, 7)
    assert torch.equal(jacobian_pattern(model), expected)
    # To the upper right much is out of sight, from the start of the third row the end of the first.
    if kernel == 3:
        assert not expected.unflatten(0, (5, 7)).unflatten(2, (5, 7))[2, 0, 0, 5]


@pytest.mark.parametrize(("shape", "kernel"), [((1, 7, 1), 5), ((1, 3, 2), 7), ((4, 2, 2), 7)])
def test_a_kernel_may_be_wider_than_the_image(shape: tuple[int, int, int], kernel: int) -> None:
    model = make("row_lstm", "binary", shape, 2, kernel=kernel)
    generator = torch.Generator().manual_seed(0)
    cached, naive = model.sample(5, generator), naive_sample(model, 5, torch.Generator().manual_seed(0))
    assert torch.equal(cached, naive)
    assert bool(model.log_prob(cached).isfinite().all())


def reference(layer: RowLSTMLayer, x: Tensor) -> Tensor:
    """Section 3.1, pixel by pixel: eq. 3 with a learned state outside the image."""
    height, width, n, _ = x.shape
    state = layer.state_to_state
    h = state.hidden.shape[1]
    given = layer.input_to_state(x.permute(2, 3, 0, 1)).permute(2, 3, 0, 1)
    hidden: dict[Pixel, Tensor] = {}
    cells: dict[Pixel, Tensor] = {}
    for i in range(height):
        for j in range(width):
            above = [hidden.get((i - 1, j + b), state.hidden.expand(n, h)) for b in (-1, 0, 1)]
            gates = given[i, j] + torch.cat(above, 1) @ state.weight[0]
            one, two, three, four = gates.chunk(4, 1)
            cell = cells.get((i - 1, j), state.cell.expand(n, h))
            cells[i, j] = torch.sigmoid(two) * cell + torch.sigmoid(one) * torch.tanh(four)
            hidden[i, j] = torch.sigmoid(three) * torch.tanh(cells[i, j])
    return torch.stack([hidden[i, j] for i in range(height) for j in range(width)]).view(height, width, n, h)


@pytest.mark.parametrize(("height", "width"), [(3, 4), (4, 2), (1, 3), (3, 1)])
def test_a_layer_and_its_gradient_are_those_of_the_equations(height: int, width: int) -> None:
    model = make("row_lstm", "binary", (1, height, width), 2, features=3, layers=1).double()
    assert isinstance(model, RowLSTM)
    layer = model.layers[0]
    assert isinstance(layer, RowLSTMLayer)
    assert_layer_is_its_equations(layer, lambda x: reference(layer, x), height, width)
