"""What a model can do: small protocols that evaluation asks for, never for a family (`hooks`: training).

Shapes: images are ``[n, C, H, W]`` in the form that the model's view gives; likelihoods are nats summed over
pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from dgmbench.errors import CapabilityError


@runtime_checkable
class CanSample(Protocol):
    """Draws examples."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws in the form of the model's view."""
        ...


@runtime_checkable
class SamplesGivenCondition(CanSample, Protocol):
    """Draws examples given a condition."""

    def sample_given(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """One draw for each of ``condition [n, ...]``, in the form of the model's view."""
        ...


@runtime_checkable
class HasStyle(Protocol):
    """Makes images of a class and a style z with the prior N(0, I), and infers the style of an image."""

    classes: int
    style_dim: int

    def style(self, x: Tensor, y: Tensor) -> Tensor:
        """Means ``[n, style_dim]`` of q(z|x, y) for ``x [n, C, H, W]`` and classes ``y [n]``."""
        ...

    def decode_given(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` in [0, 1] for ``z [n, style_dim]`` and classes ``y [n]``."""
        ...


def draw(model: CanSample, n: int, generator: torch.Generator, condition: Tensor | None = None) -> Tensor:
    """n draws, given ``condition [n, ...]`` where there is one.

    Raises:
        CapabilityError: for a condition that the model does not take.
    """
    if condition is None:
        return model.sample(n, generator)
    if not isinstance(model, SamplesGivenCondition):
        raise CapabilityError(f"{type(model).__name__} samples without a condition")
    return model.sample_given(condition, generator)


@runtime_checkable
class SamplesInWays(Protocol):
    """Draws images in several ways, each of which is a generator of its own."""

    @property
    def ways(self) -> tuple[str, ...]:
        """Their names; `sample` is one of them."""
        ...

    @property
    def way(self) -> str:
        """The one that `sample` takes."""
        ...

    def sample_by(self, way: str, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws in the form of the model's view."""
        ...


@runtime_checkable
class HasLogProb(Protocol):
    """Gives exact likelihoods."""

    def log_prob(self, x: Tensor) -> Tensor:
        """``[n]`` nats summed over pixels: of the discrete image, or a density if x is dequantised."""
        ...


@runtime_checkable
class HasLogWeights(Protocol):
    """Gives importance weights of a latent-variable model."""

    def log_weights(self, x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """``[k, n]`` values of log p(x, z) - log q(z|x) in nats, z drawn from q(z|x)."""
        ...


@runtime_checkable
class PreparesLogWeights(Protocol):
    """Gives importance weights faster for images that stay, once it has seen them."""

    def log_weights_of(self, x: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        """``log_weights`` of ``x [n, C, H, W]`` as a function of k and the generator; without gradients."""
        ...


@runtime_checkable
class HasMatrixForm(Protocol):
    """A part of a model whose convolutions can be matrices, for evaluation in float64 on a CPU."""

    def use_matrices(self) -> None:
        """Compute the same function by matrix products from now on; weights no longer load."""
        ...


@runtime_checkable
class CanDecode(Protocol):
    """Makes images from latents that have a prior."""

    latent_dim: int

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of p(z)."""
        ...

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, summed over the last axis of ``z [..., latent_dim]``."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Mean image of p(x|z), ``[n, C, H, W]`` in [0, 1], for ``z [n, latent_dim]``."""
        ...


@runtime_checkable
class HasObservationModel(CanDecode, Protocol):
    """Latents with a prior and p(x|z): all that annealed importance sampling needs."""

    def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats for ``x [n, C, H, W]`` and ``z [..., n, latent_dim]``: ``[..., n]``."""
        ...

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x|z) for ``z [n, latent_dim]``."""
        ...


@runtime_checkable
class CanEncode(Protocol):
    """Gives features of images."""

    def encode(self, x: Tensor) -> Tensor:
        """``[n, f]`` features of ``x [n, C, H, W]``."""
        ...


@runtime_checkable
class CanReconstruct(CanEncode, Protocol):
    """Features that are the latents of its own decoder, by its objective and not by their number alone."""

    latent_dim: int

    def decode(self, z: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` for ``z [n, latent_dim]``."""
        ...

    def reconstruction_error(self, x: Tensor, seen: Tensor) -> Tensor:
        """What x loses when it is decoded from the code of ``seen [n, C, H, W]``: ``[n]``."""
        ...


@runtime_checkable
class HasKLPerDimension(Protocol):
    """Splits KL(q(z|x) || p(z)) over the dimensions of z."""

    def kl_per_dimension(self, x: Tensor) -> Tensor:
        """``[n, latent_dim]`` nats.

        Raises:
            CapabilityError: where this entry's posterior has no closed form.
        """
        ...


@runtime_checkable
class HasGaussianPosterior(Protocol):
    """A diagonal Gaussian q(z|x), or p(z|x), under the prior N(0, I)."""

    def gaussian_posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Its mean and log-variance, each ``[n, latent_dim]``.

        Raises:
            CapabilityError: where this entry's posterior, or prior, is another.
        """
        ...


@runtime_checkable
class CanComplete(Protocol):
    """Fills in missing pixels."""

    def complete(self, x: Tensor, given: Tensor, generator: torch.Generator) -> Tensor:
        """`x` with the pixels where `given` (bool, broadcastable to x) is False drawn anew."""
        ...


@runtime_checkable
class CanPredict(Protocol):
    """Classifies images."""

    def predict(self, x: Tensor) -> Tensor:
        """``[n, classes]`` class probabilities."""
        ...
