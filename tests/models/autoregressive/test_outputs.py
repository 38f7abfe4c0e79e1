"""Output distributions of a pixel: discretised logistics, and draws by inversion."""

from __future__ import annotations

import pytest
import torch
from pixelwise import images
from scipy.stats import logistic

from dgmbench.models.autoregressive.outputs import LogisticMixture, invert
from dgmbench.models.autoregressive.pixelwise import AutoregressiveSettings


def test_discretised_logistics_are_differences_of_the_distribution_function() -> None:
    distribution = LogisticMixture(1, 5, 2)
    raw = torch.tensor([[0.3, -0.2, 0.1, -0.6, -1.0, 0.4]], dtype=torch.float64)
    weights = raw[0, :2].softmax(0).numpy()
    edges = (torch.arange(4) + 0.5) / 2 - 1
    below = sum(
        w * logistic.cdf(edges, m, s) for w, m, s in zip(weights, (0.1, -0.6), raw[0, 4:].exp(), strict=True)
    )
    expected = torch.diff(torch.tensor([0.0, *below, 1.0], dtype=torch.float64))
    logits = distribution.class_logits(raw, torch.zeros(1, 1))
    torch.testing.assert_close(logits[0, 0].exp(), expected)
    for level in range(5):
        one = distribution.log_prob(raw, torch.full((1, 1), level))
        torch.testing.assert_close(one.exp()[0], expected[level])


@pytest.mark.parametrize("log_scale", [-12.0, -7.0, 0.0, 8.0, 200.0])
def test_discretised_logistics_stay_finite_at_any_scale(log_scale: float) -> None:
    distribution = LogisticMixture(1, 256, 1)
    raw = torch.tensor([[0.0, 0.9, log_scale]], requires_grad=True)
    values = torch.stack([distribution.log_prob(raw, torch.full((1, 1), level))[0] for level in range(256)])
    (gradient,) = torch.autograd.grad(values.sum(), raw)
    assert bool(values.isfinite().all()) and bool(gradient.isfinite().all())
    assert abs(float(values.detach().logsumexp(0))) < 1e-4


def test_channels_move_the_means_of_later_channels() -> None:
    """Green's mean is its own plus tanh(a) red, blue's plus tanh(b) red plus tanh(c) green (PixelCNN++)."""
    distribution = LogisticMixture(3, 256, 1)
    means, scales, links = [0.1, -0.2, 0.3], [-1.0, -1.5, -2.0], [0.4, -0.3, 0.8]
    raw = torch.tensor([[0.0, *means, *scales, *links]], dtype=torch.float64)
    x = torch.tensor([[200, 30, 90]])
    red, green, blue = (float(v) * 2 / 255 - 1 for v in x[0])
    a, b, c = torch.tensor(links, dtype=torch.float64).tanh().tolist()
    expected = 0.0
    for value, mean, scale in (
        (red, means[0], scales[0]),
        (green, means[1] + a * red, scales[1]),
        (blue, means[2] + b * red + c * green, scales[2]),
    ):
        s = float(torch.tensor(scale).exp())
        mass = logistic.cdf(value + 1 / 255, mean, s) - logistic.cdf(value - 1 / 255, mean, s)
        expected += float(torch.tensor(mass).log())
    assert abs(float(distribution.log_prob(raw, x)) - expected) < 1e-6


def test_a_level_is_drawn_by_inversion_of_the_mixture() -> None:
    """The draw from all that precedes a channel equals inversion of the channel's class logits."""
    distribution = LogisticMixture(3, 64, 4)
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(500, distribution.size, generator=generator)
    x, uniforms = images(500, (3, 1, 1), 64)[:, :, 0, 0], torch.rand(500, generator=generator).double()
    logits = distribution.class_logits(raw.double(), x)
    for channel in range(3):
        drawn = distribution.draw(raw, x, channel, uniforms)
        assert torch.equal(drawn, invert(logits[:, channel], uniforms))


def test_inversion_gives_each_class_its_share() -> None:
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]])).expand(4, 3)
    uniforms = torch.tensor([0.1, 0.25, 0.69, 0.9999999], dtype=torch.float64)
    assert invert(logits, uniforms).tolist() == [0, 1, 1, 2]


def test_a_mixture_of_logistics_for_binary_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="output: logistics needs view: gray"):
        AutoregressiveSettings.model_validate({"family": "pixelcnn", "view": "binary", "output": "logistics"})
