"""Corruption, and the Markov chains that draw images from denoising and contractive auto-encoders."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dgmbench.models.autoencoders.contraction import EncoderJacobian


def corrupt(x: Tensor, kind: str, level: float, generator: torch.Generator) -> Tensor:
    """A draw of C(.|x), of the shape of x (Vincent et al. 2010, section 3.3).

    gaussian: noise of deviation `level` is added; masking: a share `level` of the values is set to 0;
    salt_and_pepper: to 0 or 1, by a fair coin.
    """
    if kind == "gaussian":
        return x + level * torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    hit = torch.rand(x.shape, generator=generator, device=x.device) < level
    if kind == "masking":
        return x.masked_fill(hit, 0.0)
    grains = torch.rand(x.shape, generator=generator, device=x.device) < 0.5
    return torch.where(hit, grains.to(x.dtype), x)


def denoising_chain(
    x: Tensor,
    steps: int,
    corrupted: Callable[[Tensor], Tensor],
    reconstructed: Callable[[Tensor], Tensor],
    drawn: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """Alternate x~ from C(.|x) and x from p(x|x~); returns the last x and the mean it was drawn around.

    Where p(x|x~) is right, the data's distribution is what this chain leaves invariant (Bengio et al. 2013,
    theorem 1). reconstructed: the mean of p(x|x~) from x~; drawn: x from that mean.
    """
    mean = x
    for _ in range(steps):
        mean = reconstructed(corrupted(x))
        x = drawn(mean)
    return x, mean


def contractive_chain(
    x: Tensor,
    steps: int,
    jacobian: Callable[[Tensor], EncoderJacobian],
    decoded: Callable[[Tensor], Tensor],
    scale: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Encode, take a step along the directions to which the code answers, decode (Rifai et al. 2012).

    The step J J' eps, eps ~ N(0, scale^2 I), is J applied to J' eps, a move of x in the span of the local
    tangent directions; its covariance is scale^2 (J J')^2.
    """
    for _ in range(steps):
        here = jacobian(x)
        x = decoded(here.code + local_step(here.gram(), scale, generator))
    return x


def local_step(gram: Tensor, scale: Tensor, generator: torch.Generator) -> Tensor:
    """``[n, k]`` draws of gram eps, eps ~ N(0, scale^2 I), for ``gram [n, k, k]``."""
    noise = torch.randn(gram.shape[:2], generator=generator, device=gram.device, dtype=gram.dtype)
    return scale.to(gram.dtype) * (gram @ noise[:, :, None]).squeeze(2)


def scale_of_steps(gram: Tensor, codes: Tensor, share: float) -> Tensor:
    """The scale at which steps have `share` times the codes' root mean square deviation.

    gram: J J' at some images, ``[m, k, k]``; codes: ``[n, k]``. J J' carries the code's units squared, which
    no fixed scale can suit: an encoder whose code is twice as large would take steps twice too long.
    """
    deviation = codes.double().var(0, correction=0).sum().sqrt()
    length = gram.double().square().sum((1, 2)).mean().sqrt()
    return share * deviation / length
