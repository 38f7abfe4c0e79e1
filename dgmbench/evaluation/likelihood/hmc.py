"""Chains of Hamiltonian transitions that leave p(z) p(x|z)^b invariant (Neal 2011, section 3.2).

All noise is drawn for each test point apart, so that a point's chains depend neither on its neighbours nor
on how many points are in a block.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from dgmbench.models.capabilities import HasMatrixForm

# Transitions whose noise is drawn at once: few generators, little memory.
NOISE_STEPS = 32
_PURPOSES = ("start", "up", "down", "pilot start", "pilot", "simulate", "observe", "shape")


@dataclass
class Chains:
    """Where the chains of one block of points are: all that has to be saved to go on.

    z: ``[chains, points, latent]``. log_lik, log_prior: log p(x|z) and log p(z) there, nats; grad_lik,
    grad_prior: their gradients in z. log_weight: float64 ``[chains, points]``. acceptance: float64
    ``[points]``, the sum over transitions. done: transitions made.
    """

    z: Tensor
    log_lik: Tensor
    log_prior: Tensor
    grad_lik: Tensor
    grad_prior: Tensor
    log_weight: Tensor
    acceptance: Tensor
    done: int = 0

    def gradient(self, b: float) -> Tensor:
        """Of log p(z) + b log p(x|z) in z, ``[chains, points, latent]``."""
        return torch.add(self.grad_prior, self.grad_lik, alpha=b)

    def tensors(self) -> dict[str, Tensor]:
        """Everything as tensors on the CPU."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return {key: torch.as_tensor(value).cpu() for key, value in named.items()}

    @classmethod
    def of(cls, tensors: dict[str, Tensor], device: torch.device) -> Self:
        """The inverse of `tensors`."""
        rest = {key: value.to(device) for key, value in tensors.items() if key != "done"}
        return cls(**rest, done=int(tensors["done"]))


class Block:
    """Test points ``x [points, ...]`` whose chains move together; `first` is the index of the first one."""

    def __init__(self, model: Any, x: Tensor, first: int, leapfrog_steps: int, seed: int) -> None:
        self.model, self.x, self.first = model, x, first
        self.leapfrog_steps, self.seed = leapfrog_steps, seed

    def start(self, count: int, posterior: Tensor | None = None, purpose: str = "start") -> Chains:
        """`count` chains a point, from draws of the prior or all from ``posterior [points, latent]``."""
        if posterior is not None:
            z = posterior.detach().expand(count, *posterior.shape).clone()
        else:
            generators = [self._generator(i, purpose) for i in range(len(self.x))]
            z = torch.stack([prior_draws(self.model, count, generator) for generator in generators], dim=1)
        weight = torch.zeros(z.shape[:2], dtype=torch.float64, device=z.device)
        return Chains(z, *self.densities(z), weight, torch.zeros_like(weight[0]))

    def densities(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """log p(x|z), log p(z) and their gradients in z."""
        z = z.detach().requires_grad_()
        with torch.enable_grad():
            log_lik, log_prior = self.model.decoder_log_prob(self.x, z), self.model.prior_log_prob(z)
            (grad_lik,) = torch.autograd.grad(log_lik.sum(), z)
            (grad_prior,) = torch.autograd.grad(log_prior.sum(), z)
        return log_lik.detach(), log_prior.detach(), grad_lik, grad_prior

    def transition(self, chains: Chains, b: float, step: Tensor, momentum: Tensor, uniform: Tensor) -> Tensor:
        """One transition that leaves p(z) p(x|z)^b invariant; acceptance probabilities ``[chains, points]``.

        step: ``[points, latent]`` or broadcastable to it; a step for each latent is a diagonal mass matrix
        (Neal 2011, section 4.1). The densities of where the chains stand are kept, so that a transition
        costs just `leapfrog_steps` forward and backward passes. A trajectory that leaves the floats is
        rejected.
        """
        z, gradient = chains.z, chains.gradient(b)
        densities = (chains.log_lik, chains.log_prior, chains.grad_lik, chains.grad_prior)
        half = 0.5 * step
        p = torch.addcmul(momentum, half, gradient)
        for leap in range(self.leapfrog_steps):
            z = torch.addcmul(z, step, p)
            densities = self.densities(z)
            gradient = torch.add(densities[3], densities[2], alpha=b)
            last = leap == self.leapfrog_steps - 1
            p = torch.addcmul(p, half if last else step, gradient)
        kinetic = 0.5 * (momentum.square().sum(-1) - p.square().sum(-1)).double()
        potential = (densities[1] - chains.log_prior).double() + b * (densities[0] - chains.log_lik).double()
        probability = torch.nan_to_num(torch.exp((kinetic + potential).clamp(max=0.0)), nan=0.0)
        self._move(chains, uniform < probability, z, densities)
        chains.acceptance += probability.mean(0)
        return probability

    @staticmethod
    def _move(chains: Chains, taken: Tensor, z: Tensor, densities: tuple[Tensor, ...]) -> None:
        wide = taken.unsqueeze(-1)
        chains.z = torch.where(wide, z, chains.z)
        chains.log_lik = torch.where(taken, densities[0], chains.log_lik)
        chains.log_prior = torch.where(taken, densities[1], chains.log_prior)
        chains.grad_lik = torch.where(wide, densities[2], chains.grad_lik)
        chains.grad_prior = torch.where(wide, densities[3], chains.grad_prior)

    def noise(self, purpose: str, part: int, chains: int, steps: int) -> tuple[Tensor, Tensor]:
        """Momenta ``[steps, chains, points, latent]`` and uniforms (without the last axis) of one part."""
        momenta, uniforms = [], []
        like = prior_draws(self.model, 1, self._generator(0, "shape"))
        for i in range(len(self.x)):
            generator = self._generator(i, purpose, part)
            shape = (NOISE_STEPS, chains, like.shape[-1])
            momenta.append(torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype))
            uniforms.append(
                torch.rand(shape[:2], generator=generator, device=like.device, dtype=torch.float64)
            )
        return torch.stack(momenta, 2)[:steps], torch.stack(uniforms, 2)[:steps]

    def _generator(self, point: int, purpose: str, part: int = 0) -> torch.Generator:
        return point_generator(self.x.device, self.seed, self.first + point, purpose, part)


def point_generator(
    device: torch.device, seed: int, point: int, purpose: str, part: int = 0
) -> torch.Generator:
    """The generator of one purpose for one point; SeedSequence keeps neighbours independent."""
    parts = [seed, point, _PURPOSES.index(purpose), part]
    entropy = np.random.SeedSequence(parts).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(entropy[0] >> np.uint64(1)))


def prior_draws(model: Any, n: int, generator: torch.Generator) -> Tensor:
    """``[n, latent]`` draws of the prior, without gradients."""
    with torch.no_grad():
        return model.prior_sample(n, generator).detach()


def device_of(model: Any) -> torch.device:
    """Where the parameters or buffers of a model are; the CPU if it has none."""
    module = _module(model)
    tensors = [*module.parameters(), *module.buffers()] if isinstance(module, nn.Module) else []
    return tensors[0].device if tensors else torch.device("cpu")


def in_float64(model: Any) -> Any:
    """The model in float64, a copy if it is not.

    In float32, rounding that depends on how many rows go through the decoder now and then turns a rejected
    move into an accepted one: hundredths of a nat. On a CPU convolutions of small images become
    matrices, since PyTorch's float64 ones are slow there.
    """
    module = _module(model)
    single = isinstance(module, nn.Module) and any(
        tensor.dtype == torch.float32 for tensor in (*module.parameters(), *module.buffers())
    )
    if not single:
        return model
    doubled = copy.deepcopy(model)
    module = _module(doubled).double()
    for part in list(module.modules()) if device_of(module).type == "cpu" else ():
        if isinstance(part, HasMatrixForm):
            part.use_matrices()
    return doubled


@contextmanager
def frozen(model: Any) -> Iterator[None]:
    """Parameters without gradients for a while: only those in z are wanted."""
    module = _module(model)
    thawed = [p for p in module.parameters() if p.requires_grad] if isinstance(module, nn.Module) else []
    for parameter in thawed:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in thawed:
            parameter.requires_grad_(True)


def _module(model: Any) -> Any:
    """The network itself, where a generator with added noise wraps it."""
    return model if isinstance(model, nn.Module) else getattr(model, "generator", model)
