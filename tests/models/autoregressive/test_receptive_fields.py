"""What a sub-pixel's logits depend on, for every architecture, mask and number of channels.

The Jacobian's pattern is compared with sets followed through the architecture; then it is asked what the
papers claim: a full field of Diagonal BiLSTM and gated PixelCNN, the triangle of Row LSTM, the blind spot
of PixelCNN.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from fields import FIELDS, Map, left, mask_a, mask_b, pattern
from fields import above as rows_above
from pixelwise import jacobian_pattern, make
from torch import Tensor

from dgmbench.models.autoregressive.causal import CausalConv

# View, channels, output: with one channel and three, separated by the network or by the distribution.
OUTPUTS = [
    ("binary", 1, "softmax"),
    ("binary", 3, "softmax"),
    ("gray", 1, "softmax"),
    ("gray", 3, "softmax"),
    ("gray", 1, "logistics"),
    ("gray", 3, "logistics"),
]
FULL = ("gated_pixelcnn", "diagonal_bilstm")
HEIGHT, WIDTH = 3, 5
# Layers until a field no longer grows: a row of 5 is seen to its start, and by gated PixelCNN to its end.
DEPTH = {"pixelcnn": 4, "gated_pixelcnn": 4, "row_lstm": 3, "diagonal_bilstm": 1}


def found_and_expected(family: str, view: str, channels: int, output: str) -> tuple[Tensor, Tensor]:
    depth = {"blocks" if "pixelcnn" in family else "layers": DEPTH[family]}
    wide = {"features": 12, "head_features": 24, "first_kernel": 3}
    model = make(family, view, (channels, HEIGHT, WIDTH), 4, output=output, **wide, **depth)
    at = Map(channels, HEIGHT, WIDTH, model.groups)
    return jacobian_pattern(model, n=24), pattern(at, FIELDS[family](at, 1, DEPTH[family]))


@pytest.mark.parametrize("family", FIELDS)
@pytest.mark.parametrize(("view", "channels", "output"), OUTPUTS)
def test_the_jacobian_has_the_pattern_of_the_architecture(
    family: str, view: str, channels: int, output: str
) -> None:
    found, expected = found_and_expected(family, view, channels, output)
    assert torch.equal(found, expected)
    earlier = torch.ones_like(found).tril(-1)
    assert not (found & ~earlier).any()
    unseen = (
        (earlier & ~found).unflatten(0, (HEIGHT, WIDTH, channels)).unflatten(3, (HEIGHT, WIDTH, channels))
    )
    if family in FULL:
        assert not unseen.any()
    else:
        assert_hidden_to_the_upper_right(unseen.any(5).any(2))


def assert_hidden_to_the_upper_right(unseen: Tensor) -> None:
    """Beyond a slope of one column per row nothing is seen, and all else is; ``[H, W, H, W]``."""
    for i, j, k, m in itertools.product(range(HEIGHT), range(WIDTH), range(HEIGHT), range(WIDTH)):
        assert bool(unseen[i, j, k, m]) == (k < i and m - j > i - k), (i, j, k, m)
    assert unseen.any()


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("groups", [1, 3])
def test_a_masked_layer_sees_what_its_mask_leaves(strict: bool, groups: int) -> None:
    """Mask A and mask B, with the channels as one group and as three in order."""
    at = Map(groups, 3, 4, groups)
    layer = CausalConv(groups, groups, 3, groups=groups, strict=strict).double()
    x = torch.zeros(1, groups, 3, 4, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(layer, x)[0, :, :, :, 0]
    found = (jacobian != 0).permute(1, 2, 0, 4, 5, 3).flatten(0, 2).flatten(1)
    field = at.read(at.image(), rows_above(1) + left(1), mask_a if strict else mask_b)
    expected = torch.zeros(3, 4, groups, 3, 4, groups, dtype=torch.bool)
    for node, seen in field.items():
        for other in seen:
            expected[(*node, *other)] = True
    assert torch.equal(found, expected.flatten(0, 2).flatten(1))
    assert not found.triu(0 if strict else 1).any()
    assert bool(found.diagonal().all()) is not strict
