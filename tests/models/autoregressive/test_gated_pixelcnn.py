from __future__ import annotations

import pytest
import torch
from pixelwise import Shape, assert_sees_all_that_came_before, jacobian_pattern, make

from dgmbench.models.autoregressive.gated_pixelcnn import GatedPixelCNNSettings, gate


@pytest.mark.parametrize(
    ("view", "shape", "output", "blocks"),
    [
        ("binary", (1, 5, 6), "softmax", 5),
        ("gray", (1, 6, 4), "logistics", 4),
        ("gray", (3, 3, 4), "softmax", 3),
        ("gray", (3, 3, 3), "logistics", 2),
    ],
)
def test_no_blind_spot(view: str, shape: Shape, output: str, blocks: int) -> None:
    """Every sub-pixel depends on all earlier ones and on no others."""
    assert_sees_all_that_came_before("gated_pixelcnn", view, shape, output, blocks=blocks)


def test_receptive_field_grows_by_a_radius_per_layer() -> None:
    """One layer of kernel 5 after a first one of kernel 3: rows and columns up to 1 + 2 away."""
    model = make("gated_pixelcnn", "binary", (1, 6, 9), 2, first_kernel=3, kernel=5, blocks=1)
    pattern = jacobian_pattern(model).unflatten(0, (6, 9)).unflatten(2, (6, 9))
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(9), indexing="ij")
    i, j = 4, 4
    near = (i - rows <= 3) & ((columns - j).abs() <= 3)
    assert torch.equal(pattern[i, j], near & ((rows < i) | ((rows == i) & (columns < j))))


def test_the_gate_is_tanh_of_one_half_times_sigmoid_of_the_other() -> None:
    x = torch.tensor([[0.5, -1.0, 2.0, 0.0]])
    expected = torch.tensor([[0.4621171573, -0.7615941560]]) * torch.tensor([[0.8807970780, 0.5]])
    torch.testing.assert_close(gate(x, 1), expected)


@pytest.mark.parametrize("name", ["kernel", "first_kernel"])
def test_kernels_that_the_vertical_stack_sees_nothing_through_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="greater than or equal to 3"):
        GatedPixelCNNSettings.model_validate({"family": "gated_pixelcnn", "view": "binary", name: 1})
