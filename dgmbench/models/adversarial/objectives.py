"""What discriminator and generator descend, from the discriminator's outputs for real and generated images.

With outputs s(x) (logits of D for the first two), and means over images of each kind:

===============  ============================================  ==========================
objective        discriminator                                 generator
===============  ============================================  ==========================
minimax          -log D(x) - log(1 - D(G(z)))                  log(1 - D(G(z)))
non_saturating   the same                                      -log D(G(z))
least_squares    1/2 (s(x) - 1)^2 + 1/2 s(G(z))^2              1/2 (s(G(z)) - 1)^2
wasserstein_gp   s(G(z)) - s(x) + gradient penalty             -s(G(z))
hinge            max(0, 1 - s(x)) + max(0, 1 + s(G(z)))        -s(G(z))
===============  ============================================  ==========================

Goodfellow et al. 2014, eq. (1) and section 3; Mao et al. 2017, eq. (9); Gulrajani et al. 2017, eq. (3);
Miyato et al. 2018, eqs. (16) and (17).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Objective = Literal["minimax", "non_saturating", "least_squares", "wasserstein_gp", "hinge"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


def discriminator_loss(objective: Objective, real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss of outputs ``real [n]`` and ``fake [m]``, without a gradient penalty."""
    if objective in ("minimax", "non_saturating"):
        return F.softplus(-real).mean() + F.softplus(fake).mean()
    if objective == "least_squares":
        return 0.5 * ((real - 1).square().mean() + fake.square().mean())
    if objective == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    return fake.mean() - real.mean()


def generator_loss(objective: Objective, fake: Tensor) -> Tensor:
    """The generator's loss of the discriminator's outputs ``fake [n]`` for its images."""
    if objective == "minimax":
        return -F.softplus(fake).mean()
    if objective == "non_saturating":
        return F.softplus(-fake).mean()
    if objective == "least_squares":
        return 0.5 * (fake - 1).square().mean()
    return -fake.mean()


def generator_signal(objective: Objective, fake: Tensor) -> Tensor:
    """Mean size of d(loss)/ds per image: what the discriminator lets through to the generator.

    Under minimax it is D(G(z)) and vanishes once the discriminator rejects every image (Goodfellow et al.
    2014, section 3); under Wasserstein and hinge it is always 1.
    """
    if objective == "minimax":
        return torch.sigmoid(fake).mean()
    if objective == "non_saturating":
        return torch.sigmoid(-fake).mean()
    if objective == "least_squares":
        return (fake - 1).abs().mean()
    return torch.ones((), device=fake.device)


def accuracy(objective: Objective, real: Tensor, fake: Tensor) -> Tensor:
    """Share of images classified rightly at the objective's threshold, both kinds with equal weight.

    The Wasserstein critic has no threshold of its own: it gets the middle between its two means.
    """
    threshold: Tensor | float = 0.5 if objective == "least_squares" else 0.0
    if objective == "wasserstein_gp":
        threshold = 0.5 * (real.mean() + fake.mean())
    return 0.5 * ((real > threshold).float().mean() + (fake < threshold).float().mean())


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, generator: torch.Generator
) -> Tensor:
    """E (|grad s(x)| - 1)^2 at points drawn evenly on the lines between pairs (Gulrajani et al. 2017, eq. 3).

    Args:
        critic: ``[n, ...]`` to ``[n]``, each output a function of its own input alone.
        real, fake: ``[n, ...]``, paired by their place.
    """
    shape = (len(real), *[1] * (real.ndim - 1))
    place = torch.rand(shape, generator=generator, device=real.device, dtype=real.dtype)
    points = (real + place * (fake - real)).detach().requires_grad_(True)
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return (slopes.flatten(1).norm(dim=1) - 1).square().mean()
