"""Objectives against their formulas, the gradient penalty and spectral norm against brute force."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from dgmbench.models.adversarial.discriminator import Discriminator
from dgmbench.models.adversarial.objectives import (
    OBJECTIVES,
    Objective,
    accuracy,
    discriminator_loss,
    generator_loss,
    generator_signal,
    gradient_penalty,
)

REAL, FAKE = torch.tensor([0.3, 2.0, -1.5]), torch.tensor([-0.7, 0.4])


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


REALS, FAKES = REAL.tolist(), FAKE.tolist()
CROSS_ENTROPY = -mean([math.log(sigmoid(r)) for r in REALS]) - mean([math.log(1 - sigmoid(f)) for f in FAKES])
DISCRIMINATOR = {
    "minimax": CROSS_ENTROPY,
    "non_saturating": CROSS_ENTROPY,
    "least_squares": 0.5 * mean([(r - 1) ** 2 for r in REALS]) + 0.5 * mean([f**2 for f in FAKES]),
    "wasserstein_gp": mean(FAKES) - mean(REALS),
    "hinge": mean([max(0, 1 - r) for r in REALS]) + mean([max(0, 1 + f) for f in FAKES]),
}
GENERATOR = {
    "minimax": mean([math.log(1 - sigmoid(f)) for f in FAKES]),
    "non_saturating": -mean([math.log(sigmoid(f)) for f in FAKES]),
    "least_squares": 0.5 * mean([(f - 1) ** 2 for f in FAKES]),
    "wasserstein_gp": -mean(FAKES),
    "hinge": -mean(FAKES),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_losses_are_the_published_formulas(objective: Objective) -> None:
    assert float(discriminator_loss(objective, REAL, FAKE)) == pytest.approx(DISCRIMINATOR[objective])
    assert float(generator_loss(objective, FAKE)) == pytest.approx(GENERATOR[objective])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_signal_is_the_slope_of_the_generator_s_loss(objective: Objective) -> None:
    fake = FAKE.clone().requires_grad_(True)
    (slopes,) = torch.autograd.grad(generator_loss(objective, fake) * len(fake), fake)
    torch.testing.assert_close(generator_signal(objective, FAKE), slopes.abs().mean())


def test_minimax_loses_its_signal_where_the_discriminator_is_sure() -> None:
    sure = torch.full((5,), -20.0)
    assert float(generator_signal("minimax", sure)) < 1e-8
    assert float(generator_signal("non_saturating", sure)) == pytest.approx(1.0)


def test_accuracy_counts_both_kinds_at_the_objective_s_threshold() -> None:
    assert float(accuracy("hinge", REAL, FAKE)) == pytest.approx(0.5 * (2 / 3 + 1 / 2))
    assert float(accuracy("least_squares", REAL, FAKE)) == pytest.approx(0.5 * (1 / 3 + 1))
    # The middle of the means 0.2667 and -0.15.
    assert float(accuracy("wasserstein_gp", REAL, FAKE)) == pytest.approx(0.5 * (2 / 3 + 1 / 2))


def test_gradient_penalty_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Tanh(), nn.Linear(7, 1)).double()

    def critic(x: Tensor) -> Tensor:
        return network(x).squeeze(1)

    real, fake = torch.randn(2, 5, 1, 3, 4, dtype=torch.float64).unbind(0)
    found = gradient_penalty(critic, real, fake, torch.Generator().manual_seed(3))
    place = torch.rand((5, 1, 1, 1), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    points, step, expected = real + place * (fake - real), 1e-5, []
    for point in points:
        squares = 0.0
        for pixel in range(12):
            shift = torch.zeros(12, dtype=torch.float64)
            shift[pixel] = step
            shifted = [critic((point + sign * shift.reshape(1, 3, 4))[None]) for sign in (1, -1)]
            squares += (float(shifted[0] - shifted[1]) / (2 * step)) ** 2
        expected.append((math.sqrt(squares) - 1) ** 2)
    assert float(found) == pytest.approx(mean(expected), rel=1e-6)


def test_gradient_penalty_of_a_linear_critic_is_known_and_teaches_its_weights() -> None:
    """For s(x) = w x it is (|w| - 1)^2, whose gradient is 2 (|w| - 1) w / |w|."""
    weights = torch.tensor([3.0, 4.0], requires_grad=True)
    penalty = gradient_penalty(
        lambda x: x @ weights, torch.zeros(6, 2), torch.ones(6, 2), torch.Generator().manual_seed(0)
    )
    penalty.backward()
    assert float(penalty) == pytest.approx(16.0)
    torch.testing.assert_close(weights.grad, torch.tensor([3.0, 4.0]) * 8 / 5)


def test_spectral_norm_brings_the_largest_singular_value_of_every_layer_to_one() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 6, 4, 2, 1), nn.Sequential(nn.Conv2d(6, 8, 4, 2, 1), nn.LeakyReLU(0.2))]
    before = {"0": layers[0].weight.detach().clone(), "1": layers[1][0].weight.detach().clone()}
    network = Discriminator(layers, 8 * 2 * 2, spectral=True, dropout=0.0).train()
    for _ in range(300):
        network(torch.rand(2, 1, 8, 8))
    network.eval()
    weights = {"0": network.layers[0].weight, "1": network.layers[1][0].weight}
    for name, weight in weights.items():
        largest = torch.linalg.svdvals(before[name].flatten(1))[0]
        torch.testing.assert_close(weight, before[name] / largest, atol=1e-4, rtol=1e-4)
    assert float(torch.linalg.svdvals(network.verdict.weight)[0]) == pytest.approx(1.0, abs=1e-4)
    # So that no change of an image moves the output by more than its own length (slopes are at most 1,
    # scaling to [-1, 1] doubles, and a stride of half the kernel lets a pixel count four times).
    first, second = torch.rand(2, 20, 1, 8, 8).unbind(0)
    moved = (network(first) - network(second)).abs() / (first - second).flatten(1).norm(dim=1)
    assert float(moved.max()) < 2 * 2**2


def test_a_plain_discriminator_keeps_its_weights() -> None:
    layer = nn.Linear(4, 3)
    network = Discriminator([nn.Sequential(nn.Flatten(), layer)], 3, spectral=False, dropout=0.0)
    before = layer.weight.detach().clone()
    network(torch.rand(2, 1, 2, 2))
    assert torch.equal(layer.weight, before)
