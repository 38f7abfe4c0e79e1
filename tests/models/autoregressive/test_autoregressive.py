"""Pixel-by-pixel models: exact probabilities, sampling, completion, capabilities."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pixelwise import CASES, FAMILIES, Shape, all_images, cached_raw, images, make, naive_sample
from pydantic import ValidationError
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.autoregressive.diagonal_bilstm import DiagonalBiLSTM
from dgmbench.models.autoregressive.lane_lstm import LaneLSTM
from dgmbench.models.capabilities import CanComplete, CanEncode, CanSample, HasLogProb
from dgmbench.models.registry import family_class


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("view", "shape", "levels", "output"), CASES)
def test_probabilities_of_all_images_sum_to_one(
    family: str, view: str, shape: Shape, levels: int, output: str
) -> None:
    model = make(family, view, shape, levels, output=output).double()
    x = all_images(shape, levels)
    with torch.no_grad():
        log_probs = torch.cat([model.log_prob(part) for part in x.split(1024)])
    assert len(x) == levels ** (shape[0] * shape[1] * shape[2])
    assert abs(float(log_probs.exp().sum()) - 1) < 1e-10
    assert float(log_probs.std()) > 0.1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("view", "shape", "levels", "output"), CASES)
def test_log_prob_is_the_sum_of_the_conditionals(
    family: str, view: str, shape: Shape, levels: int, output: str
) -> None:
    model = make(family, view, shape, levels, output=output).double()
    x = images(20, shape, levels)
    with torch.no_grad():
        logits = model.logits(x)
        if view == "binary":
            logits = torch.cat([torch.zeros_like(logits), logits], 2)
        chosen = logits.log_softmax(2).gather(2, x.unsqueeze(2))
        torch.testing.assert_close(model.log_prob(x), chosen.flatten(1).sum(1))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("view", "shape", "levels", "output"),
    [
        ("binary", (1, 7, 6), 2, "softmax"),
        ("gray", (1, 5, 5), 17, "softmax"),
        ("gray", (3, 4, 4), 5, "softmax"),
        ("gray", (3, 4, 3), 256, "logistics"),
    ],
)
def test_cached_sampling_is_naive_sampling(
    family: str, view: str, shape: Shape, levels: int, output: str
) -> None:
    model = make(family, view, shape, levels, output=output)
    naive = naive_sample(model, 8, torch.Generator().manual_seed(4))
    cached = model.sample(8, torch.Generator().manual_seed(4))
    assert torch.equal(cached.float(), naive)
    assert naive.std() > 0
    with torch.no_grad():
        torch.testing.assert_close(cached_raw(model, naive), model.raw_output(naive), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "settings", [{"residual": False}, {"skip": False}, {"first_kernel": 3}, {"layers": 1}]
)
def test_cached_sampling_with_other_connections(family: str, settings: dict[str, Any]) -> None:
    if not set(settings) <= set(type(make(family, "binary", (1, 2, 2), 2)).Settings.model_fields):
        pytest.skip(f"{family} has no such setting")
    model = make(family, "binary", (1, 5, 4), 2, **settings)
    x = images(3, (1, 5, 4), 2)
    with torch.no_grad():
        torch.testing.assert_close(cached_raw(model, x), model.raw_output(x), atol=1e-5, rtol=1e-5)


def frequencies_agree(draws: Tensor, levels: int, expected: Tensor) -> bool:
    """Whether draws of few-pixel images are as frequent as they should be, within four standard errors."""
    flat = draws.flatten(1).long()
    codes = (flat * levels ** torch.arange(flat.shape[1] - 1, -1, -1)).sum(1)
    observed = torch.bincount(codes, minlength=len(expected)) / len(codes)
    errors = (expected * (1 - expected) / len(codes)).sqrt()
    return bool(((observed - expected).abs() < 4 * errors + 1e-9).all())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("output", ["softmax", "logistics"])
def test_sampling_follows_the_model_s_probabilities(family: str, output: str) -> None:
    model = make(family, "gray", (1, 2, 2), 3, output=output)
    with torch.no_grad():
        expected = model.log_prob(all_images((1, 2, 2), 3)).exp()
    assert frequencies_agree(model.sample(40_000, torch.Generator().manual_seed(0)), 3, expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_completion_follows_the_conditionals(family: str) -> None:
    """Given the first pixel, the rest has its probability given that one."""
    model = make(family, "binary", (1, 2, 2), 2)
    x = torch.tensor([1.0, 0, 0, 0]).reshape(1, 1, 2, 2)
    given = torch.tensor([True, False, False, False]).reshape(1, 2, 2)
    with torch.no_grad():
        joint = model.log_prob(all_images((1, 2, 2), 2)).exp()
    expected = joint * (torch.arange(16) >= 8)
    drawn = model.completions(x, given, 40_000, torch.Generator().manual_seed(0))
    assert drawn.shape == (40_000, 1, 1, 2, 2)
    assert frequencies_agree(drawn[:, 0], 2, expected / expected.sum())


@pytest.mark.parametrize("family", FAMILIES)
def test_completion_within_a_colour_pixel_follows_the_conditionals(family: str) -> None:
    model = make(family, "gray", (3, 1, 1), 3, output="logistics")
    x = torch.tensor([2, 0, 0]).reshape(1, 3, 1, 1)
    given = torch.tensor([True, False, False]).reshape(3, 1, 1)
    with torch.no_grad():
        joint = model.log_prob(all_images((3, 1, 1), 3)).exp()
    expected = joint * (torch.arange(27) >= 18)
    drawn = model.completions(x, given, 20_000, torch.Generator().manual_seed(0))[:, 0]
    assert frequencies_agree(drawn, 3, expected / expected.sum())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 4)])
def test_completion_keeps_what_is_given_and_draws_the_rest(family: str, shape: Shape) -> None:
    model = make(family, "gray", shape, 5)
    x = images(30, shape, 5)
    given = torch.rand(30, *shape, generator=torch.Generator().manual_seed(2)) < 0.5
    filled = model.complete(x, given, torch.Generator().manual_seed(1))
    assert torch.equal(filled[given], x[given])
    # What stood in the gaps is neither kept nor looked at.
    other = torch.where(given, x, 4 - x)
    assert torch.equal(model.complete(other, given, torch.Generator().manual_seed(1)), filled)
    assert not torch.equal(filled[~given], x[~given])


@pytest.mark.parametrize("family", FAMILIES)
def test_completion_draws_each_missing_pixel_as_sampling_would(family: str) -> None:
    """With a sample's first rows given, and its noise, completion gives the sample back."""
    model = make(family, "gray", (1, 5, 4), 5)
    sample = model.sample(6, torch.Generator().manual_seed(3))
    given = torch.zeros(1, 5, 4, dtype=torch.bool)
    given[:, :2] = given[:, 4:] = True
    assert torch.equal(model.complete(sample, given, torch.Generator().manual_seed(3)), sample)
    assert torch.equal(model.complete(sample, ~given, torch.Generator().manual_seed(3)), sample)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("output", ["softmax", "logistics"])
def test_8_bit_colour_trains_and_samples(family: str, output: str) -> None:
    """The shape of CIFAR-10: losses fall on one batch, and a drawn image is one of 8 bits."""
    shape = (3, 32, 32)
    small = {"features": 9, "blocks" if "pixelcnn" in family else "layers": 1, "first_kernel": 3}
    model = make(family, "gray", shape, 256, output=output, **small)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(0))
    x = 64 + images(2, shape, 64)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    losses = []
    for _ in range(4):
        optimiser.zero_grad()
        loss = model.step(Batch(x), "model", torch.Generator())["loss"]
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] - 200
    given = torch.ones(shape, dtype=torch.bool)
    given[:, 5, 3:6] = False
    filled = model.complete(x, given, torch.Generator().manual_seed(0))
    assert filled.dtype == torch.int64 and int(filled.min()) >= 0 and int(filled.max()) <= 255
    assert not torch.equal(filled, x)
    if output == "softmax":
        drawn = model.sample(1, torch.Generator().manual_seed(0))
        assert drawn.shape == (1, *shape) and drawn.dtype == torch.int64
        assert int(drawn.min()) >= 0 and int(drawn.max()) <= 255


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pixel_before_a_given_one_is_drawn_without_it(family: str) -> None:
    """Of (x1, x2, given 1, x4): p(x1) p(x2|x1) p(x4|x1, x2, 1), whatever x3 would make of x1 and x2."""
    model = make(family, "binary", (1, 2, 2), 2)
    given = torch.tensor([False, False, True, False]).reshape(1, 2, 2)
    every = all_images((1, 2, 2), 2)
    with torch.no_grad():
        joint = model.log_prob(every).exp().reshape(4, 2, 2)
    expected = torch.zeros(4, 2, 2)
    expected[:, 1] = joint.sum((1, 2))[:, None] * joint[:, 1] / joint[:, 1].sum(1, keepdim=True)
    x = torch.tensor([0.0, 0, 1, 0]).reshape(1, 1, 2, 2)
    drawn = model.completions(x, given, 40_000, torch.Generator().manual_seed(0))
    assert frequencies_agree(drawn[:, 0], 2, expected.flatten())


@pytest.mark.parametrize("family", FAMILIES)
def test_images_of_another_shape_and_masks_of_another_type_are_refused(family: str) -> None:
    model = make(family, "binary", (1, 4, 4), 2)
    for wrong in ((1, 2, 8), (1, 4, 5), (2, 4, 4)):
        with pytest.raises(ValueError, match=r"this model's are \(1, 4, 4\)"):
            model.log_prob(torch.zeros(2, *wrong))
        with pytest.raises(ValueError, match=r"this model's are \(1, 4, 4\)"):
            model.complete(torch.zeros(2, *wrong), torch.tensor(True), torch.Generator())
    with pytest.raises(ValueError, match=r"a bool tensor, not torch.float32"):
        model.complete(torch.zeros(2, 1, 4, 4), torch.ones(1, 4, 4), torch.Generator())


@pytest.mark.parametrize("family", FAMILIES)
def test_networks_that_would_lose_links_are_refused(family: str) -> None:
    with pytest.raises(SettingsError, match="3 colour channels are 3 or more each"):
        make(family, "gray", (3, 2, 2), 4, head_features=2)
    with pytest.raises(ValidationError, match="first_kernel"):
        make(family, "binary", (1, 4, 4), 2, first_kernel=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_completion_under_autocast_is_completion(family: str) -> None:
    model = make(family, "gray", (3, 4, 3), 5)
    drawn = model.sample(3, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.sample(3, torch.Generator().manual_seed(0)), drawn)


@pytest.mark.parametrize("family", FAMILIES)
def test_capabilities(family: str) -> None:
    model = make(family, "binary", (1, 4, 4), 2)
    for capability in (CanSample, HasLogProb, CanComplete, CanEncode):
        assert isinstance(model, capability)
    assert model.encode(images(3, (1, 4, 4), 2)).shape == (3, 9)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_can_be_built_without_data(family: str) -> None:
    """As settings are validated: on the meta device."""
    with torch.device("meta"):
        model_class = family_class(family)
        model = model_class(
            model_class.Settings.model_validate({"family": family, "view": "binary"}),
            image_schema((1, 5, 4), 2),
        )
    assert next(model.parameters()).is_meta


@pytest.mark.parametrize("family", FAMILIES)
def test_autocast_gives_nearly_the_same_likelihood(family: str) -> None:
    model = make(family, "gray", (1, 6, 6), 17)
    x = images(4, (1, 6, 6), 17)
    exact = model.log_prob(x)
    with torch.autocast("cpu", torch.bfloat16):
        short = model.log_prob(x)
    assert short.dtype == torch.float32
    torch.testing.assert_close(short, exact, rtol=0.05, atol=0.0)
    short.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_recurrence_is_an_operator_that_torch_can_trust() -> None:
    """Its schema, shapes without data and gradient, as torch's own checks see them."""
    model = make("diagonal_bilstm", "binary", (1, 3, 4), 2, features=3, layers=1)
    assert isinstance(model, DiagonalBiLSTM)
    layer = model.layers[0].state_to_state
    assert isinstance(layer, LaneLSTM)
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 12, 2, 6), (2, 6, 12), (2, 12))
    x, weight, bias = (torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes)
    learned = (layer.weight, layer.hidden, layer.cell)
    unfed = [layer.get_buffer(f"unfed{index}") for index in range(3)]
    arguments = (x, weight, bias, *learned, unfed, layer.plan.flat_spans, list(layer.plan.taps))
    torch.library.opcheck(torch.ops.dgmbench.lane_lstm.default, arguments)
