from __future__ import annotations

import pytest
import torch
from pixelwise import (
    Pixel,
    Shape,
    assert_layer_is_its_equations,
    assert_sees_all_that_came_before,
    images,
    make,
)
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.models.autoregressive.diagonal_bilstm import DiagonalBiLSTM, DiagonalBiLSTMLayer
from dgmbench.models.autoregressive.lane_plan import Plan


@pytest.mark.parametrize(
    ("view", "shape", "output", "layers"),
    [
        ("binary", (1, 5, 6), "softmax", 1),
        ("binary", (1, 6, 4), "softmax", 2),
        ("gray", (1, 4, 5), "logistics", 1),
        ("gray", (3, 3, 3), "softmax", 1),
        ("gray", (3, 3, 3), "logistics", 2),
    ],
)
def test_one_layer_sees_all_that_came_before(view: str, shape: Shape, output: str, layers: int) -> None:
    assert_sees_all_that_came_before("diagonal_bilstm", view, shape, output, layers=layers)


def one_direction(
    x: Tensor, weight: Tensor, bias: Tensor, state_weight: Tensor, start: list[Tensor]
) -> Tensor:
    """Eq. 3 pixel by pixel: a state reads the pixel to the left and the one above; learned ones outside."""
    height, width, n, _ = x.shape
    h = start[0].shape[0]
    hidden: dict[Pixel, Tensor] = {}
    cells: dict[Pixel, Tensor] = {}
    for i in range(height):
        for j in range(width):
            before = [hidden.get(pixel, start[0].expand(n, h)) for pixel in ((i, j - 1), (i - 1, j))]
            gates = x[i, j] @ weight + bias + torch.cat(before, 1) @ state_weight
            one, two, three, four = gates.chunk(4, 1)
            cell = cells.get((i, j - 1), start[1].expand(n, h))
            cells[i, j] = torch.sigmoid(two) * cell + torch.sigmoid(one) * torch.tanh(four)
            hidden[i, j] = torch.sigmoid(three) * torch.tanh(cells[i, j])
    return torch.stack([hidden[i, j] for i in range(height) for j in range(width)]).view(height, width, n, h)


def reference(layer: DiagonalBiLSTMLayer, x: Tensor) -> Tensor:
    """Section 3.2: the sum of both directions, the right one mirrored and a row further down."""
    weight, bias = layer.input_weights()
    state = layer.state_to_state
    left, right = (
        one_direction(image, weight[d], bias[d], state.weight[d], [state.hidden[d], state.cell[d]])
        for d, image in enumerate((x, x.flip(1)))
    )
    down = torch.cat([torch.zeros_like(right[:1]), right.flip(1)[:-1]])
    return left + down


@pytest.mark.parametrize(("height", "width"), [(3, 4), (4, 2), (1, 3), (3, 1), (3, 3)])
def test_a_layer_and_its_gradient_are_those_of_the_equations(height: int, width: int) -> None:
    model = make("diagonal_bilstm", "binary", (1, height, width), 2, features=3, layers=1).double()
    assert isinstance(model, DiagonalBiLSTM)
    layer = model.layers[0]
    assert isinstance(layer, DiagonalBiLSTMLayer)
    assert_layer_is_its_equations(layer, lambda x: reference(layer, x), height, width)


def test_seven_layers_train_on_what_the_first_states_learn() -> None:
    """Gradients reach every parameter, learned initial states and skip connections included."""
    model = make("diagonal_bilstm", "binary", (1, 4, 4), 2, layers=7)
    x = images(4, (1, 4, 4), 2)
    model.step(Batch(x), "model", torch.Generator())["loss"].backward()
    without = [name for name, parameter in model.named_parameters() if not bool((parameter.grad != 0).any())]
    assert without == []


def test_a_plan_holds_each_diagonal_without_padding() -> None:
    """A 2 x 3 map has diagonals of 1, 2, 2, 1 pixels; a state goes to its right and lower neighbours."""
    plan = Plan([(0, 1), (0, 2), (0, 2), (1, 2)], (0, -1))
    assert plan.positions == 6
    assert [step.stop - step.start for step in plan.steps] == [1, 2, 2, 1]
    # Pixel (0, 0) is read by (0, 1) as its left neighbour and by (1, 0) as the one above.
    assert plan.copies[0][:2] == [(slice(0, 1), slice(1, 2)), (slice(0, 1), slice(2, 3))]
    # Positions of column 0 have no left neighbour, those of row 0 nothing above.
    assert plan.unfed(0).tolist() == [0, 2]
    assert plan.unfed(1).tolist() == [0, 1, 3]
    assert plan.unfed(2).tolist() == [0, 2]
