"""Weight normalisation and its data-dependent initialisation by closed form."""

from __future__ import annotations

import pytest
import torch

from dgmbench.models.semisupervised.weight_norm import WeightNormLinear


def layer(train_scale: bool = False) -> WeightNormLinear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return WeightNormLinear(5, 4, train_scale=train_scale)


def inputs() -> torch.Tensor:
    return 2 + 3 * torch.randn(50, 5, generator=torch.Generator().manual_seed(1))


def test_outputs_are_those_of_a_direction_of_unit_length_times_the_scale() -> None:
    linear, x = layer(), inputs()
    linear.scale.copy_(torch.tensor([1.0, 2.0, 0.5, 3.0]))
    unit = linear.direction / linear.direction.norm(dim=1, keepdim=True)
    expected = x @ (linear.scale[:, None] * unit).T + linear.bias
    torch.testing.assert_close(linear(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("train_scale", [False, True])
def test_data_dependent_initialisation_gives_mean_0_and_deviation_1(train_scale: bool) -> None:
    linear, x = layer(train_scale), inputs()
    with torch.no_grad():
        given = linear.initialise(x)
        found = linear(x)
    torch.testing.assert_close(found.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std(0, correction=0), torch.ones(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(given, found, atol=1e-5, rtol=0)


def test_the_initial_scale_and_bias_are_those_of_the_paper() -> None:
    linear, x = layer(), inputs()
    unit = linear.direction / linear.direction.norm(dim=1, keepdim=True)
    plain = x @ unit.detach().T
    linear.initialise(x)
    deviation = plain.std(0, correction=0)
    torch.testing.assert_close(linear.scale, 1 / deviation, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(linear.bias.detach(), -plain.mean(0) / deviation, rtol=1e-4, atol=1e-5)


def test_a_second_initialisation_on_the_same_inputs_changes_nothing() -> None:
    linear, x = layer(), inputs()
    linear.initialise(x)
    scale, bias = linear.scale.clone(), linear.bias.detach().clone()
    linear.initialise(x)
    torch.testing.assert_close(linear.scale, scale)
    torch.testing.assert_close(linear.bias.detach(), bias, atol=1e-5, rtol=0)


def test_a_unit_that_is_constant_keeps_its_scale() -> None:
    linear = layer()
    linear.initialise(torch.zeros(10, 5))
    assert torch.equal(linear.scale, torch.ones(4))


def test_a_frozen_scale_does_not_move_and_a_trained_one_does() -> None:
    for train_scale in (False, True):
        linear, x = layer(train_scale), inputs()
        optimiser = torch.optim.SGD(linear.parameters(), 0.1)
        before = linear.scale.detach().clone()
        linear(x).square().mean().backward()
        optimiser.step()
        assert torch.equal(linear.scale.detach(), before) != train_scale
        assert ("scale" in dict(linear.named_parameters())) == train_scale


def test_the_gradient_of_a_direction_is_orthogonal_to_it() -> None:
    linear, x = layer(), inputs()
    linear(x).tanh().sum().backward()
    assert linear.direction.grad is not None
    products = (linear.direction.grad * linear.direction.detach()).sum(1)
    torch.testing.assert_close(products, torch.zeros(4), atol=1e-3, rtol=0)


def test_a_frozen_pass_gives_gradients_of_inputs_alone() -> None:
    linear, x = layer(True), inputs().requires_grad_()
    outputs = linear(x, frozen=True)
    torch.testing.assert_close(outputs, linear(x))
    outputs.sum().backward()
    assert x.grad is not None
    assert all(parameter.grad is None for parameter in linear.parameters())
