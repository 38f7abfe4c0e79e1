"""Families of q(z|x) that can be sampled by reparameterisation, each with its natural prior.

Kingma & Welling 2013, section 2.4, gives three routes from noise without parameters to a draw that is
differentiable in them, and Figurnov et al. 2018 a fourth that replaces the last:

- location and scale, z = m + s e: Normal, Laplace, Student-t, logistic;
- the inverse distribution function, z = F^-1(u): Cauchy;
- composition: Beta and Dirichlet from Gamma variables;
- implicit differentiation of F(z; a) = u, where F has no inverse in closed form: Gamma.

**Coordinates.** Gamma, Beta and Dirichlet variables v live in a part of R^n. Their latent is z = log v,
logit v and log(v_i / v_K), a point of R^n, and all densities are with respect to dz: p(z) = p(v) |dv/dz|.
Weights p/q and divergences are the same in either coordinates, but in these no draw rounds to the boundary,
straight lines between latents stay in the support, and a Hamiltonian transition cannot leave it. A decoder
takes v, standardised under the prior so that its first layer meets the scale it was initialised for; of the
other families it takes z itself, except for Cauchy.

Shapes: raw encoder outputs ``[n, raw_width]``, latents ``[..., latent_dim]``. Densities are nats.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

Parameters = tuple[Tensor, ...]


class LatentFamily(nn.Module):
    """A family of distributions on R^n: q(z|x) with parameters from an encoder, and its prior.

    Args:
        latent_dim: n.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.raw_width = 2 * latent_dim
        self.natural_width = latent_dim

    def constrain(self, raw: Tensor) -> Parameters:
        """Parameters ``[n, ...]`` from an encoder's outputs ``[n, raw_width]``."""
        raise NotImplementedError

    def location(self, parameters: Parameters) -> Tensor:
        """The mean of z (Cauchy: the median), ``[n, latent_dim]``."""
        raise NotImplementedError

    def natural(self, z: Tensor) -> Tensor:
        """The variable v that z stands for, ``[..., natural_width]``."""
        return z

    def decoder_input(self, z: Tensor) -> Tensor:
        """What a decoder takes, ``[..., natural_width]``."""
        return z

    def rsample_with_log_prob(
        self, parameters: Parameters, shape: tuple[int, ...], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draws ``[*shape, n, latent_dim]``, differentiable in the parameters, and log q(z|x) of each."""
        z = self.rsample(parameters, shape, generator)
        return z, self.log_prob(parameters, z)

    def rsample(self, parameters: Parameters, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draws ``[*shape, n, latent_dim]`` of q(z|x), differentiable in the parameters."""
        raise NotImplementedError

    def log_prob(self, parameters: Parameters, z: Tensor) -> Tensor:
        """log q(z|x), summed over the last axis."""
        raise NotImplementedError

    def kl(self, parameters: Parameters) -> Tensor | None:
        """What each dimension adds to KL(q(z|x) || p(z)), ``[n, latent_dim]``; None without a closed form."""
        return None

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of p(z)."""
        raise NotImplementedError

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log p(z), summed over the last axis."""
        raise NotImplementedError


def uniform(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform draws inside (0, 1), float64 on the device of `like`.

    float32's grid of 2^-24 would cut the tails of what is made from them.
    """
    draws = torch.rand(shape, generator=generator, device=like.device, dtype=torch.float64)
    return draws.clamp_(min=2.0**-54)
