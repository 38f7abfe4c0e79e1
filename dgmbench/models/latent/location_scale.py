"""Location-scale families of q(z|x): Normal, Laplace, Student-t, logistic and Cauchy."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dgmbench.models.latent.latent_family import LatentFamily, Parameters, uniform
from dgmbench.models.parts.densities import standard_normal_log_prob


class LocationScale(LatentFamily):
    """z = m + s e for noise e of a fixed density, the prior's; the encoder gives m and 2 log s.

    Args:
        latent_dim: n.
    """

    # Only says which device and precision the noise has.
    anchor: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    def constrain(self, raw: Tensor) -> Parameters:
        """Location and log scale."""
        location, twice_log_scale = raw.chunk(2, dim=-1)
        return location, 0.5 * twice_log_scale

    def location(self, parameters: Parameters) -> Tensor:
        """m."""
        return parameters[0]

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draws of e."""
        raise NotImplementedError

    def noise_log_prob(self, noise: Tensor) -> Tensor:
        """log density of e, for each element."""
        raise NotImplementedError

    def rsample_with_log_prob(
        self, parameters: Parameters, shape: tuple[int, ...], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draws and log q(z|x), the latter in terms of e: exact, and free of the cancellation in z - m."""
        location, log_scale = parameters
        noise = self.noise((*shape, *location.shape), generator)
        log_prob = (self.noise_log_prob(noise) - log_scale).sum(-1)
        return location + torch.exp(log_scale) * noise, log_prob

    def rsample(self, parameters: Parameters, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """``[*shape, n, latent_dim]``."""
        location, log_scale = parameters
        return location + torch.exp(log_scale) * self.noise((*shape, *location.shape), generator)

    def log_prob(self, parameters: Parameters, z: Tensor) -> Tensor:
        """log q(z|x)."""
        location, log_scale = parameters
        noise = (z - location) * torch.exp(-log_scale)
        return (self.noise_log_prob(noise) - log_scale).sum(-1)

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draws of e."""
        return self.noise((n, self.latent_dim), generator)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log density of e."""
        return self.noise_log_prob(z).sum(-1)


class Normal(LocationScale):
    """N(m, s^2), prior N(0, I)."""

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Standard normal draws."""
        return torch.randn(shape, generator=generator, device=self.anchor.device, dtype=self.anchor.dtype)

    def rsample_with_log_prob(
        self, parameters: Parameters, shape: tuple[int, ...], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draws and log q(z|x), with constants added once per draw instead of once per dimension."""
        location, log_scale = parameters
        noise = self.noise((*shape, *location.shape), generator)
        constant = 0.5 * self.latent_dim * math.log(2 * math.pi) + log_scale.sum(-1)
        return location + torch.exp(log_scale) * noise, -0.5 * noise.square().sum(-1) - constant

    def noise_log_prob(self, noise: Tensor) -> Tensor:
        """log N(e; 0, 1)."""
        return -0.5 * (noise.square() + math.log(2 * math.pi))

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log N(z; 0, I)."""
        return standard_normal_log_prob(z)

    def kl(self, parameters: Parameters) -> Tensor | None:
        """Kingma & Welling 2013, appendix B."""
        mean, log_scale = parameters
        return 0.5 * (mean.square() + torch.exp(2 * log_scale) - 1 - 2 * log_scale)


class Laplace(LocationScale):
    """Laplace(m, s), prior Laplace(0, 1)."""

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """-sign(u) log(1 - 2|u|) for u uniform on (-1/2, 1/2)."""
        u = uniform(shape, self.anchor, generator) - 0.5
        return (-u.sign() * torch.log1p(-2 * u.abs())).to(self.anchor.dtype)

    def noise_log_prob(self, noise: Tensor) -> Tensor:
        """-|e| - log 2."""
        return -noise.abs() - math.log(2)

    def kl(self, parameters: Parameters) -> Tensor | None:
        """|m| + s exp(-|m| / s) - 1 - log s."""
        location, log_scale = parameters
        far = location.abs()
        return far + torch.exp(log_scale - far * torch.exp(-log_scale)) - 1 - log_scale


class StudentT(LocationScale):
    """Student's t about m with scale s and fixed degrees of freedom, which the prior shares.

    Args:
        latent_dim: n.
        degrees_of_freedom: above 2, so that the variance exists.
    """

    def __init__(self, latent_dim: int, degrees_of_freedom: float) -> None:
        super().__init__(latent_dim)
        self.df = degrees_of_freedom

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """A normal over the root of a chi-squared mean."""
        half = torch.full(shape, 0.5 * self.df, device=self.anchor.device, dtype=self.anchor.dtype)
        normal = torch.randn(shape, generator=generator, device=half.device, dtype=half.dtype)
        return normal * torch.rsqrt(torch._standard_gamma(half, generator=generator) / half)

    def noise_log_prob(self, noise: Tensor) -> Tensor:
        """log t(e; df)."""
        df = self.df
        constant = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(math.pi * df)
        return constant - 0.5 * (df + 1) * torch.log1p(noise.square() / df)


class Logistic(LocationScale):
    """Logistic(m, s), prior Logistic(0, 1)."""

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """logit(u)."""
        return torch.logit(uniform(shape, self.anchor, generator)).to(self.anchor.dtype)

    def noise_log_prob(self, noise: Tensor) -> Tensor:
        """log sigmoid(e) + log sigmoid(-e)."""
        return F.logsigmoid(noise) + F.logsigmoid(-noise)


class Cauchy(LocationScale):
    """Cauchy(m, s), prior Cauchy(0, 1), by the inverse distribution function m + s tan(pi (u - 1/2)).

    It has no mean, so neither has a function that grows with z: log p(x|z) of a decoder that took z itself
    would have none, and a single far-off dimension would drown the others in its first layer. The decoder
    takes F(z) of the prior's distribution function, standardised: sqrt(12) arctan(z) / pi.
    """

    def decoder_input(self, z: Tensor) -> Tensor:
        """``[..., latent_dim]`` in (-sqrt(3), sqrt(3)), uniform under the prior."""
        return torch.atan(z) * (math.sqrt(12) / math.pi)

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """tan(pi (u - 1/2))."""
        return torch.tan(math.pi * (uniform(shape, self.anchor, generator) - 0.5)).to(self.anchor.dtype)

    def noise_log_prob(self, noise: Tensor) -> Tensor:
        """-log pi - log(1 + e^2)."""
        return -math.log(math.pi) - torch.log1p(noise.square())

    def kl(self, parameters: Parameters) -> Tensor | None:
        """log(((1 + s)^2 + m^2) / (4 s)) (Chyzak & Nielsen 2019, theorem 1)."""
        location, log_scale = parameters
        squares = (1 + torch.exp(log_scale)).square() + location.square()
        return torch.log(squares) - math.log(4) - log_scale
