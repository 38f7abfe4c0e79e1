"""The fast softplus: values, gradients, the ends of its range, and weights that pass differences on."""

from __future__ import annotations

import torch

from dgmbench.models.parts.softplus import Softplus, softplus_layers, start_layers


def test_it_is_softplus_with_its_gradient() -> None:
    a = torch.cat([torch.linspace(-120, 120, 4801), torch.tensor([-1e4, 1e4])]).requires_grad_()
    value = Softplus()(a)
    expected = torch.logaddexp(a.double(), torch.zeros(())).float()
    torch.testing.assert_close(value, expected, atol=3e-7, rtol=1e-6)
    (found,) = torch.autograd.grad(value.sum(), a)
    torch.testing.assert_close(found, torch.sigmoid(a), atol=1e-6, rtol=0)


def test_gradients_in_float64_are_those_of_differences() -> None:
    a = torch.linspace(-8, 8, 33, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Softplus(), (a,))


def test_many_at_once_are_each_alone() -> None:
    a = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.func.vmap(Softplus())(a), Softplus()(a))


def test_differences_pass_through_two_layers() -> None:
    x = torch.randn(500, 64, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        plain, passing = softplus_layers([64] * 3), start_layers(softplus_layers([64] * 3), 2.0)
        assert float(plain(x).std(0).mean()) < 0.1
        assert 0.5 < float(passing(x).std(0).mean()) < 2
        assert float(passing[:-1](x).mean().abs()) < 0.5
