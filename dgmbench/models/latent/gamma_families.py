"""Gamma, Beta and Dirichlet variables as latent families, in the coordinates of `latent_family`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dgmbench.models.latent.latent_family import LatentFamily, Parameters, uniform

# Keeps log(u) / concentration far from overflow.
LEAST_CONCENTRATION = 1e-3


class GammaBased(LatentFamily):
    """A family whose prior is the member with given parameters.

    Args:
        latent_dim: n.
        prior: the parameters of p(z), each a tensor without a batch axis.
    """

    def __init__(self, latent_dim: int, prior: Parameters) -> None:
        super().__init__(latent_dim)
        self._prior_names = [f"prior_{i}" for i in range(len(prior))]
        for name, value in zip(self._prior_names, prior, strict=True):
            self.register_buffer(name, value, persistent=False)

    def prior(self) -> Parameters:
        """The parameters of p(z)."""
        return tuple(self.get_buffer(name) for name in self._prior_names)

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of p(z)."""
        return self.rsample(self.prior(), (n,), generator)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log p(z)."""
        return self.log_prob(self.prior(), z)

    def decoder_input(self, z: Tensor) -> Tensor:
        """v less its mean under the prior, over its standard deviation."""
        mean, variance = self.prior_moments()
        return (self.natural(z) - mean) * torch.rsqrt(variance)

    def prior_moments(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of v under the prior, ``[natural_width]`` each."""
        raise NotImplementedError


class Gamma(GammaBased):
    """v = exp(z) ~ Gamma(concentration, rate): implicit gradients in the concentration.

    Args:
        latent_dim: n.
        concentration: of the prior.
        rate: of the prior.
    """

    def __init__(self, latent_dim: int, concentration: float, rate: float) -> None:
        shape = (latent_dim,)
        super().__init__(latent_dim, (torch.full(shape, concentration), torch.full(shape, math.log(rate))))

    def constrain(self, raw: Tensor) -> Parameters:
        """Concentration and log rate."""
        raw_concentration, log_rate = raw.chunk(2, dim=-1)
        return positive(raw_concentration), log_rate

    def location(self, parameters: Parameters) -> Tensor:
        """E log v."""
        concentration, log_rate = parameters
        return torch.digamma(concentration) - log_rate

    def natural(self, z: Tensor) -> Tensor:
        """v."""
        return torch.exp(z)

    def prior_moments(self) -> tuple[Tensor, Tensor]:
        """a / b and a / b^2."""
        concentration, log_rate = self.prior()
        return concentration * torch.exp(-log_rate), concentration * torch.exp(-2 * log_rate)

    def rsample(self, parameters: Parameters, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """``[*shape, n, latent_dim]``."""
        concentration, log_rate = parameters
        return log_gamma_rsample(concentration, shape, generator) - log_rate

    def log_prob(self, parameters: Parameters, z: Tensor) -> Tensor:
        """log Gamma(v) + z."""
        concentration, log_rate = parameters
        shifted = z + log_rate
        return (concentration * shifted - torch.exp(shifted) - torch.lgamma(concentration)).sum(-1)

    def kl(self, parameters: Parameters) -> Tensor | None:
        """KL(Gamma(a, b) || Gamma(a0, b0))."""
        a, log_rate = parameters
        a0, log_rate0 = self.prior()
        ratio = log_rate0 - log_rate
        entropies = (a - a0) * torch.digamma(a) - torch.lgamma(a) + torch.lgamma(a0)
        return entropies - a0 * ratio + a * torch.expm1(ratio)


class Beta(GammaBased):
    """v = sigmoid(z) ~ Beta(a, b), from two Gamma variables: v = g / (g + h).

    Args:
        latent_dim: n.
        a: of the prior.
        b: of the prior.
    """

    def __init__(self, latent_dim: int, a: float, b: float) -> None:
        super().__init__(latent_dim, (torch.full((latent_dim,), a), torch.full((latent_dim,), b)))

    def constrain(self, raw: Tensor) -> Parameters:
        """Both concentrations."""
        a, b = positive(raw).chunk(2, dim=-1)
        return a, b

    def location(self, parameters: Parameters) -> Tensor:
        """E logit v."""
        return torch.digamma(parameters[0]) - torch.digamma(parameters[1])

    def natural(self, z: Tensor) -> Tensor:
        """v."""
        return torch.sigmoid(z)

    def prior_moments(self) -> tuple[Tensor, Tensor]:
        """Those of a Dirichlet's first component of two."""
        mean, variance = dirichlet_moments(torch.stack(self.prior(), -1))
        return mean[..., 0], variance[..., 0]

    def rsample(self, parameters: Parameters, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """``[*shape, n, latent_dim]``."""
        a, b = parameters
        return log_gamma_rsample(a, shape, generator) - log_gamma_rsample(b, shape, generator)

    def log_prob(self, parameters: Parameters, z: Tensor) -> Tensor:
        """log Beta(v) + log v (1 - v)."""
        a, b = parameters
        return (a * F.logsigmoid(z) + b * F.logsigmoid(-z) - log_beta(torch.stack([a, b], -1))).sum(-1)

    def kl(self, parameters: Parameters) -> Tensor | None:
        """KL(Beta(a, b) || Beta(a0, b0)), as Dirichlets of two components each."""
        return dirichlet_kl(torch.stack(parameters, -1), torch.stack(self.prior(), -1))


class Dirichlet(GammaBased):
    """v = softmax(z, 0) ~ Dirichlet(a) of n + 1 components, from as many Gamma variables.

    Args:
        latent_dim: n, the degrees of freedom.
        concentration: of every component of the prior.
    """

    def __init__(self, latent_dim: int, concentration: float) -> None:
        super().__init__(latent_dim, (torch.full((latent_dim + 1,), concentration),))
        self.raw_width = self.natural_width = latent_dim + 1

    def constrain(self, raw: Tensor) -> Parameters:
        """The concentrations ``[n, latent_dim + 1]``."""
        return (positive(raw),)

    def location(self, parameters: Parameters) -> Tensor:
        """E log(v_i / v_K)."""
        means = torch.digamma(parameters[0])
        return means[..., :-1] - means[..., -1:]

    def natural(self, z: Tensor) -> Tensor:
        """v ``[..., latent_dim + 1]``."""
        return torch.softmax(F.pad(z, (0, 1)), -1)

    def prior_moments(self) -> tuple[Tensor, Tensor]:
        """Means and variances of the components."""
        return dirichlet_moments(self.prior()[0])

    def rsample(self, parameters: Parameters, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """``[*shape, n, latent_dim]``."""
        logs = log_gamma_rsample(parameters[0], shape, generator)
        return logs[..., :-1] - logs[..., -1:]

    def log_prob(self, parameters: Parameters, z: Tensor) -> Tensor:
        """log Dirichlet(v) + sum of log v over all components."""
        (a,) = parameters
        return (a * torch.log_softmax(F.pad(z, (0, 1)), -1)).sum(-1) - log_beta(a)

    def kl(self, parameters: Parameters) -> Tensor | None:
        """KL(Dirichlet(a) || Dirichlet(a0)) as the sum over its sticks, v_i / (v_i + ... + v_K).

        They are independent Betas of a_i and a_(i+1) + ... + a_K.
        """
        return dirichlet_kl(sticks(parameters[0]), sticks(self.prior()[0]))


def positive(raw: Tensor) -> Tensor:
    """Concentrations from raw outputs."""
    return LEAST_CONCENTRATION + F.softplus(raw)


def log_gamma_rsample(concentration: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """log g ``[*shape, ...]`` of g ~ Gamma(concentration, 1), differentiable in the concentration.

    g = h u^(1/a) for h ~ Gamma(a + 1) and u uniform (Marsaglia & Tsang 2000, section 6): the logarithm stays
    finite where g itself is below the smallest float. h's gradient is implicit (Figurnov et al. 2018, eq. 5).
    """
    wide = concentration.expand(*shape, *concentration.shape)
    log_h = torch.log(torch._standard_gamma(wide + 1, generator=generator))
    log_u = torch.log(uniform(tuple(wide.shape), wide, generator)).to(wide.dtype)
    return log_h + log_u / wide


def log_beta(concentrations: Tensor) -> Tensor:
    """log of the multivariate Beta function of the last axis."""
    return torch.lgamma(concentrations).sum(-1) - torch.lgamma(concentrations.sum(-1))


def dirichlet_moments(a: Tensor) -> tuple[Tensor, Tensor]:
    """Means and variances of the components of Dirichlet(a), over the last axis."""
    total = a.sum(-1, keepdim=True)
    mean = a / total
    return mean, mean * (1 - mean) / (total + 1)


def dirichlet_kl(a: Tensor, b: Tensor) -> Tensor:
    """KL(Dirichlet(a) || Dirichlet(b)) over the last axis."""
    expected_logs = torch.digamma(a) - torch.digamma(a.sum(-1, keepdim=True))
    return log_beta(b) - log_beta(a) + ((a - b) * expected_logs).sum(-1)


def sticks(a: Tensor) -> Tensor:
    """The Betas ``[..., K - 1, 2]`` of a Dirichlet's sticks, for ``a [..., K]``."""
    rest = a.flip(-1).cumsum(-1).flip(-1)
    return torch.stack([a[..., :-1], rest[..., 1:]], -1)
