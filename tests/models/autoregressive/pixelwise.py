"""Small pixel-by-pixel models and checks that all of them pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from dgmbench.data.schema import image_schema
from dgmbench.models.autoregressive.completion import CachedHead
from dgmbench.models.autoregressive.outputs import invert
from dgmbench.models.autoregressive.pixelwise import Autoregressive
from dgmbench.models.registry import family_class

Shape = tuple[int, int, int]
Pixel = tuple[int, int]
FAMILIES: dict[str, dict[str, Any]] = {
    "pixelcnn": {"features": 6, "blocks": 2},
    "gated_pixelcnn": {"features": 6, "blocks": 2},
    "row_lstm": {"features": 6, "layers": 2},
    "diagonal_bilstm": {"features": 6, "layers": 2},
}
# View, shape, levels, output: every output distribution with 1 and 3 channels.
CASES = [
    ("binary", (1, 3, 3), 2, "softmax"),
    ("binary", (3, 2, 2), 2, "softmax"),
    ("gray", (1, 2, 3), 3, "softmax"),
    ("gray", (3, 1, 2), 3, "softmax"),
    ("gray", (1, 2, 3), 3, "logistics"),
    ("gray", (3, 2, 1), 3, "logistics"),
]


def make(family: str, view: str, shape: Shape, levels: int, **settings: Any) -> Autoregressive:
    """A model with parameters larger than at initialisation, so that conditionals differ."""
    base = {"family": family, "view": view, "head_features": 9, "mixtures": 3} | FAMILIES[family]
    model_class = family_class(family)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(model_class.Settings.model_validate(base | settings), image_schema(shape, levels))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    assert isinstance(model, Autoregressive)
    return model.eval()


def images(n: int, shape: Shape, levels: int, seed: int = 0) -> Tensor:
    return torch.randint(levels, (n, *shape), generator=torch.Generator().manual_seed(seed))


def all_images(shape: Shape, levels: int) -> Tensor:
    pixels = shape[0] * shape[1] * shape[2]
    return torch.tensor(list(itertools.product(range(levels), repeat=pixels))).reshape(-1, *shape)


@torch.no_grad()
def naive_sample(model: Autoregressive, n: int, generator: torch.Generator) -> Tensor:
    """A full pass for every sub-pixel, and inversion of the whole distribution function."""
    channels, height, width = model.image_shape
    uniforms = torch.rand((n, *model.image_shape), generator=generator, dtype=torch.float64)
    x = torch.zeros((n, *model.image_shape))
    for i, j, c in itertools.product(range(height), range(width), range(channels)):
        x[:, c, i, j] = invert(model.logits(x)[:, c, :, i, j], uniforms[:, c, i, j]).to(x.dtype)
    return x


@torch.no_grad()
def cached_raw(model: Autoregressive, x: Tensor) -> Tensor:
    """The network's output for given images, [n, size, H, W], pixel by pixel with the cache."""
    cache, scaled = model.start_cache(len(x)), model._scaled(x)
    head = CachedHead([model.head, model.head2, model.output])
    raw = torch.empty(len(x), model.distribution.size, *x.shape[2:], dtype=scaled.dtype)
    for i in range(x.shape[2]):
        cache.start_row(i)
        for j in range(x.shape[3]):
            raw[:, :, i, j] = head(cache.hidden_at(scaled[:, :, i, j], i, j))
            cache.store(scaled[:, :, i, j], i, j)
    return raw


def jacobian_pattern(model: Autoregressive, n: int = 12) -> Tensor:
    """Which sub-pixels' logits depend on which: bool [H W C, H W C] in generation order.

    An entry is True where the derivative is not exactly zero for at least one of `n` images.
    """
    model = model.double()
    x = torch.rand((n, *model.image_shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = (x * (model.levels - 1)).requires_grad_()
    logits = model.logits(x)
    mix = torch.randn(logits.shape[2], generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    outputs = (logits.movedim(2, -1) @ mix).sum(0).permute(1, 2, 0).flatten()
    rows = [torch.autograd.grad(output, x, retain_graph=True)[0] for output in outputs]
    return torch.stack([(row != 0).any(0).permute(1, 2, 0).flatten() for row in rows])


Seen = dict[Pixel, set[Pixel]]


def reach(window: Callable[[int, int], Iterable[Pixel]], seen: Seen) -> Seen:
    """What each pixel has seen after a layer: all that the pixels in its window had."""
    return {pixel: set().union(*(seen[q] for q in window(*pixel) if q in seen)) for pixel in seen}


def to_pattern(seen: Seen, height: int, width: int) -> Tensor:
    """`seen` as bool [H W, H W]."""
    pattern = torch.zeros(height, width, height, width, dtype=torch.bool)
    for (i, j), pixels in seen.items():
        for k, m in pixels:
            pattern[i, j, k, m] = True
    return pattern.flatten(0, 1).flatten(1)


def blank_view(height: int, width: int) -> Seen:
    """Every pixel has seen itself: the input."""
    return {(i, j): {(i, j)} for i in range(height) for j in range(width)}


def causal_window(radius: int, *, strict: bool) -> Callable[[int, int], list[Pixel]]:
    """What a masked square kernel covers."""

    def window(i: int, j: int) -> list[Pixel]:
        above = [(i - a, j + b) for a in range(1, radius + 1) for b in range(-radius, radius + 1)]
        return above + [(i, j - b) for b in range(1 if strict else 0, radius + 1)]

    return window


def assert_sees_all_that_came_before(family: str, view: str, shape: Shape, output: str, **depth: int) -> None:
    """Every sub-pixel's logits depend on all earlier sub-pixels and on no others."""
    wide = {"first_kernel": 3, "features": 12, "head_features": 24}
    pattern = jacobian_pattern(make(family, view, shape, 4, output=output, **wide, **depth))
    assert torch.equal(pattern, torch.ones_like(pattern).tril(-1))


def assert_layer_is_its_equations(
    layer: torch.nn.Module, reference: Callable[[Tensor], Tensor], height: int, width: int
) -> None:
    """An LSTM layer of 6 inputs has the states and the gradients of its reference, none of these zero."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(height, width, 2, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    ours, theirs = layer(x), reference(x)
    torch.testing.assert_close(ours, theirs)
    mix = torch.randn(ours.shape, generator=generator, dtype=torch.float64)
    wanted = [x, *layer.parameters()]
    pairs = zip(
        torch.autograd.grad((ours * mix).sum(), wanted),
        torch.autograd.grad((theirs * mix).sum(), wanted),
        strict=True,
    )
    for one, other in pairs:
        assert bool(other.abs().sum() > 0)
        torch.testing.assert_close(one, other)
