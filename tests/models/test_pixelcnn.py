from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from dgmbench.models.pixelcnn import CausalConv, PixelCNN, PixelCNNSettings, invert

SHAPES = [("binary", (1, 3, 3), 2), ("gray", (1, 2, 3), 3), ("gray", (3, 1, 2), 3), ("binary", (3, 2, 2), 2)]


def make(view: str, shape: tuple[int, int, int], levels: int, **settings: Any) -> PixelCNN:
    base = {"family": "pixelcnn", "view": view, "features": 6, "blocks": 2, "head_features": 9}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PixelCNN(PixelCNNSettings.model_validate(base | settings), shape, levels)
        for parameter in model.parameters():  # larger than at initialisation, so that conditionals differ
            torch.nn.init.normal_(parameter, std=0.4)
    return model.eval()


def all_images(shape: tuple[int, int, int], levels: int) -> Tensor:
    pixels = shape[0] * shape[1] * shape[2]
    return torch.tensor(list(itertools.product(range(levels), repeat=pixels))).reshape(-1, *shape)


@pytest.mark.parametrize(("view", "shape", "levels"), SHAPES)
def test_probabilities_of_all_images_sum_to_one(view: str, shape: tuple[int, int, int], levels: int) -> None:
    model = make(view, shape, levels).double()
    x = all_images(shape, levels)
    with torch.no_grad():
        log_probs = torch.cat([model.log_prob(part) for part in x.split(512)])
    assert len(x) == levels ** (shape[0] * shape[1] * shape[2])
    assert abs(float(log_probs.exp().sum()) - 1) < 1e-5
    assert float(log_probs.std()) > 0.1


@pytest.mark.parametrize(("view", "shape", "levels"), [*SHAPES, ("binary", (1, 6, 6), 2)])
def test_logits_depend_on_earlier_sub_pixels_alone(
    view: str, shape: tuple[int, int, int], levels: int
) -> None:
    """Order: rows, then columns, then channels. Changing sub-pixel i moves no logit of sub-pixels <= i."""
    model = make(view, shape, levels).double()
    x = torch.randint(levels, (1, *shape), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        base = in_order(model.logits(x))
        dependent = 0
        for index in range(x.numel()):
            changed = x.permute(0, 2, 3, 1).reshape(1, -1).clone()
            changed[0, index] = (changed[0, index] + 1) % levels
            back = changed.reshape(1, shape[1], shape[2], shape[0]).permute(0, 3, 1, 2)
            moved = (in_order(model.logits(back)) - base).abs().amax(-1) > 1e-12
            assert not moved[: index + 1].any()
            dependent += int(moved.sum())
    assert dependent > x.numel()


def in_order(logits: Tensor) -> Tensor:
    """[1, C, classes, H, W] to [H W C, classes]: generation order."""
    return logits.permute(0, 3, 4, 1, 2).reshape(-1, logits.shape[2])


def naive_sample(model: PixelCNN, n: int, generator: torch.Generator, shape: tuple[int, int, int]) -> Tensor:
    uniforms = torch.rand((n, *shape), generator=generator, dtype=torch.float64)
    x = torch.zeros((n, *shape))
    for i, j, c in itertools.product(range(shape[1]), range(shape[2]), range(shape[0])):
        x[:, c, i, j] = invert(model.logits(x)[:, c, :, i, j], uniforms[:, c, i, j]).to(x.dtype)
    return x


@pytest.mark.parametrize(
    ("view", "shape", "levels"), [("binary", (1, 7, 6), 2), ("gray", (1, 5, 5), 17), ("gray", (3, 4, 4), 5)]
)
def test_cached_sampling_is_naive_sampling(view: str, shape: tuple[int, int, int], levels: int) -> None:
    model = make(view, shape, levels)
    with torch.no_grad():
        naive = naive_sample(model, 8, torch.Generator().manual_seed(4), shape)
    cached = model.sample(8, torch.Generator().manual_seed(4))
    assert torch.equal(cached.float(), naive)
    assert naive.std() > 0


def test_sampling_follows_the_model_s_probabilities() -> None:
    model = make("binary", (1, 2, 2), 2)
    x = all_images((1, 2, 2), 2)
    with torch.no_grad():
        expected = model.log_prob(x).exp()
    draws = model.sample(40_000, torch.Generator().manual_seed(0)).flatten(1).long()
    codes = (draws * torch.tensor([8, 4, 2, 1])).sum(1)
    observed = torch.bincount(codes, minlength=16) / len(codes)
    errors = (expected * (1 - expected) / len(codes)).sqrt()
    assert bool(((observed - expected).abs() < 4 * errors + 1e-9).all())


def test_completion_keeps_what_is_given_and_draws_the_rest() -> None:
    model = make("gray", (1, 4, 4), 5)
    x = torch.randint(5, (30, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    given = torch.zeros((1, 4, 4), dtype=torch.bool)
    given[:, :2] = True
    filled = model.complete(x, given, torch.Generator().manual_seed(1))
    assert torch.equal(filled[:, :, :2], x[:, :, :2])
    assert not torch.equal(filled[:, :, 2:], x[:, :, 2:])


def test_masked_rows_are_those_of_a_masked_square_kernel() -> None:
    layer = CausalConv(2, 3, 5, channels=1, strict=True)
    x = torch.randn(2, 2, 7, 7, generator=torch.Generator().manual_seed(0))
    square = torch.zeros(3, 2, 5, 5)
    square[:, :, :3] = (layer.weight * layer.mask).detach()
    expected = torch.nn.functional.conv2d(x, square, layer.bias, padding=2)
    torch.testing.assert_close(layer(x), expected)
    assert bool((layer.mask[:, :, -1, 2:] == 0).all())


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="odd kernel size, not 4"):
        CausalConv(1, 1, 4, channels=1)


def test_inversion_gives_each_class_its_share() -> None:
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]])).expand(4, 3)
    uniforms = torch.tensor([0.1, 0.25, 0.69, 0.9999999], dtype=torch.float64)
    assert invert(logits, uniforms).tolist() == [0, 1, 1, 2]
