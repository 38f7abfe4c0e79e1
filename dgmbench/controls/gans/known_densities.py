"""Densities of one and two dimensions, and the game between two of them, by quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Half the side of the box that is integrated over, and points along it by dimension.
BOX, POINTS = 8.0, {1: 4001, 2: 161}


@dataclass(frozen=True)
class Mixture:
    """sum_j w_j N(x; m_j, s_j^2 I): weights [k], means [k, d], deviations [k]."""

    weights: tuple[float, ...]
    means: tuple[tuple[float, ...], ...]
    deviations: tuple[float, ...]

    @property
    def dims(self) -> int:
        """d."""
        return len(self.means[0])

    def log_prob(self, x: Tensor) -> Tensor:
        """``[n]`` nats of ``x [n, d]``."""
        weights, means, deviations = (
            torch.tensor(part, dtype=x.dtype, device=x.device)
            for part in (self.weights, self.means, self.deviations)
        )
        squares = ((x[:, None] - means) / deviations[:, None]).square().sum(-1)
        scale = self.dims * (deviations.log() + 0.5 * math.log(2 * math.pi))
        return torch.logsumexp(weights.log() - 0.5 * squares - scale, 1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, d]`` draws."""
        chosen = torch.multinomial(torch.tensor(self.weights), n, replacement=True, generator=generator)
        noise = torch.randn((n, self.dims), generator=generator)
        return torch.tensor(self.means)[chosen] + torch.tensor(self.deviations)[chosen, None] * noise


@dataclass(frozen=True)
class Game:
    """p_data and p_G on a grid: points float64 [g, d], and the mass of either at each of them, [g]."""

    data: Mixture
    generated: Mixture
    points: Tensor
    data_mass: Tensor
    generated_mass: Tensor

    @classmethod
    def of(cls, data: Mixture, generated: Mixture) -> Game:
        """The game of two densities whose mass lies inside the box."""
        axis = torch.linspace(-BOX, BOX, POINTS[data.dims], dtype=torch.float64)
        points = torch.cartesian_prod(*[axis] * data.dims).reshape(-1, data.dims)
        cell = float(axis[1] - axis[0]) ** data.dims
        masses = [density.log_prob(points).exp() * cell for density in (data, generated)]
        return cls(data, generated, points, *masses)

    def optimal_logits(self) -> Tensor:
        """Logits of D* = p_data / (p_data + p_G), ``[g]`` (Goodfellow et al. 2014, proposition 1)."""
        return self.data.log_prob(self.points) - self.generated.log_prob(self.points)

    def value(self, logits: Tensor) -> float:
        """V = E_data log D + E_G log(1 - D) in nats, of D's logits at the grid's points (eq. 1)."""
        gained = self.data_mass * F.softplus(-logits) + self.generated_mass * F.softplus(logits)
        return -float(gained.sum())

    def optimum(self) -> float:
        """2 JSD(p_data, p_G) - log 4, from the densities alone (theorem 1)."""
        return 2 * self.divergence() - math.log(4)

    def divergence(self) -> float:
        """The Jensen-Shannon divergence in nats."""
        log_data, log_generated = self.data.log_prob(self.points), self.generated.log_prob(self.points)
        log_middle = torch.logaddexp(log_data, log_generated) - math.log(2)
        parts = self.data_mass * (log_data - log_middle) + self.generated_mass * (log_generated - log_middle)
        return 0.5 * float(parts.sum())

    def error(self, logits: Tensor) -> float:
        """Mean of |D - D*| over (p_data + p_G)/2."""
        distance = (torch.sigmoid(logits) - torch.sigmoid(self.optimal_logits())).abs()
        return float((0.5 * (self.data_mass + self.generated_mass) * distance).sum())

    def generator_slopes(self, logits: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Size of each loss's gradient in a shift of all generated points, by objective.

        For x = z + m it is |E_G grad s(x) D(x)| under minimax, and with 1 - D(x) under the non-saturating
        loss.

        Args:
            logits: from points ``[g, d]`` to s(x), ``[g]``; differentiable.
        """
        points = self.points.clone().requires_grad_(True)
        found = logits(points)
        (slopes,) = torch.autograd.grad(found.sum(), points)
        chosen = {"minimax": torch.sigmoid(found), "non_saturating": torch.sigmoid(-found)}
        weighted = {name: (self.generated_mass * part.detach())[:, None] for name, part in chosen.items()}
        return {name: float((weight * slopes).sum(0).norm()) for name, weight in weighted.items()}
