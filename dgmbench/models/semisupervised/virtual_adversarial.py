"""Virtual adversarial perturbations (Miyato et al. 2018): the direction in which a prediction changes most.

The divergence D(r) = KL(p(y|x) || p(y|x + r)) has a minimum of 0 at r = 0, so near it D(r) = r'Hr/2, and the
direction is H's leading eigenvector. Power iteration finds it from Hd = grad D(xi d)/xi (eq. 11 and 12).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Logits = Callable[[Tensor], Tensor]


def divergence(logits: Tensor, others: Tensor) -> Tensor:
    """KL(p || q) in nats of each row, ``[n]``, for ``logits [n, K]`` of p and `others` of q."""
    log_p = F.log_softmax(logits, 1)
    return (log_p.exp() * (log_p - F.log_softmax(others, 1))).sum(1)


def adversarial_direction(
    logits_of: Logits,
    x: Tensor,
    logits: Tensor,
    generator: torch.Generator,
    *,
    iterations: int,
    difference: float,
) -> Tensor:
    """Directions of length 1, one for each of ``x [n, d]``, without gradient.

    Args:
        logits_of: ``[n, K]`` logits for inputs ``[n, d]``.
        x: inputs.
        logits: what `logits_of` gives for x.
        generator: draws the first directions.
        iterations: of power iteration; 0 leaves them as drawn.
        difference: xi, the length at which the gradient is taken.
    """
    direction = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    x, logits = x.detach(), logits.detach()
    for _ in range(iterations):
        step = (difference * unit(direction)).requires_grad_()
        with torch.enable_grad():
            total = divergence(logits, logits_of(x + step)).sum()
            (direction,) = torch.autograd.grad(total, step)
    return unit(direction)


def unit(vectors: Tensor) -> Tensor:
    """``vectors [n, d]`` scaled to length 1, zeros left at 0; tiny ones do not underflow."""
    scaled = vectors / vectors.abs().amax(1, keepdim=True).clamp_min(torch.finfo(vectors.dtype).tiny)
    return F.normalize(scaled, dim=1)
