"""What a model is to the rest of the suite: its settings, its objective and its capabilities.

Evaluation asks what a model *can do* (the protocols below), never which family it belongs to.
Shapes: images are ``[n, C, H, W]`` in the model's `domain`; likelihoods are nats summed over pixels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Protocol, Self, runtime_checkable

import torch
from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)
from torch import Tensor, nn

from dgmbench.settings.block import Pair, Strict
from dgmbench.terms import Domain, View

Activation = Literal["relu", "tanh", "leaky_relu", "softplus", "gelu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
}


MomentDecay = Annotated[float, Field(ge=0, lt=1)]


class TrainingBudget(Strict):
    """How one model is trained: its length, optimiser and which parameters are kept."""

    epochs: PositiveInt = Field(50, description="passes over the training images")
    batch_size: PositiveInt = Field(100, description="images per step")
    optimiser: Literal["adam", "rmsprop"] = Field("adam", description="rmsprop has no first moment")
    learning_rate: PositiveFloat = Field(1e-3, description="step size at the start")
    betas: Pair[MomentDecay] = Field(
        (0.9, 0.999), description="decays of the first and second moment; rmsprop needs 0 for the first"
    )
    epsilon: PositiveFloat = Field(1e-8, description="what is added to the root of the second moment")
    schedule: Literal["constant", "cosine", "tripling"] = Field(
        "constant",
        description="step size over the run; tripling: 10^(-1/7) less after 1, 3, 9, ... further epochs",
    )
    gradient_clip: NonNegativeFloat = Field(0.0, description="largest gradient norm; 0 leaves it alone")
    validate_every: PositiveInt = Field(1, description="epochs between two looks at the validation images")
    select: Literal["best", "last"] = Field(
        "best", description="keep the best epoch on validation, or the last"
    )

    @model_validator(mode="after")
    def _one_moment(self) -> Self:
        if self.optimiser == "rmsprop" and self.betas[0] > 0:
            raise ValueError(f"optimiser: rmsprop has no first moment: betas: [0.0, {self.betas[1]}]")
        return self


class ModelSettings(Strict):
    """The settings every model entry has; families add their own."""

    family: str = Field(description="key of dgmbench.models.registry.FAMILIES")
    view: View = Field(description="binary or gray")
    training: TrainingBudget = TrainingBudget()


class GenerativeModel(nn.Module):
    """A trainable model of images; subclasses set `Settings`, `views` and implement `step`.

    Args:
        settings: an instance of the class's `Settings`.
        image_shape: ``(C, H, W)``.
        levels: L, the number of intensity levels of the discrete image.
    """

    Settings: ClassVar[type[ModelSettings]]
    views: ClassVar[tuple[View, ...]] = ("binary", "gray")
    # The players of the objective, each with an optimiser of its own, in the order they move.
    phases: ClassVar[tuple[str, ...]] = ("model",)
    # The validation loss that picks the best epoch; None where no loss ranks epochs (GANs).
    selection_loss: ClassVar[str | None] = "loss"

    def __init__(self, settings: ModelSettings, image_shape: tuple[int, int, int], levels: int) -> None:
        super().__init__()
        self.view: View = settings.view
        self.image_shape = image_shape
        self.dims = math.prod(image_shape)
        self.levels = levels

    @property
    def domain(self) -> Domain:
        """The form of x that this model's methods take."""
        return "binary" if self.view == "binary" else "dequantised"

    def parameter_count(self) -> int:
        """Free parameters of the model."""
        return sum(parameter.numel() for parameter in self.parameters())

    def phase_parameters(self, phase: str) -> Iterable[nn.Parameter]:
        """The parameters that `phase` moves."""
        return self.parameters()

    def phases_at(self, step: int) -> tuple[str, ...]:
        """Which phases move on the batch of a step (from 0), in order; each step has a batch of its own."""
        return self.phases

    def rate_of(self, phase: str) -> float:
        """What the step size of a phase is multiplied by."""
        return 1.0

    def after_step(self, phase: str) -> None:
        """Told after each move of `phase`, outside of autograd; averages of parameters belong in buffers."""

    def step(self, x: Tensor, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Named losses of a batch, means over its images; ``"loss"`` is the one to descend."""
        raise NotImplementedError

    def validation_losses(self, x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Named losses of held-out images, means over the batch; no gradient is needed."""
        return self.step(x, self.phases[0], generator)


@runtime_checkable
class ClosedForm(Protocol):
    """A model fitted in one go (a closed form, EM) rather than by gradient steps."""

    def fit(self, train: Tensor, valid: Tensor, generator: torch.Generator) -> dict[str, float]:
        """Fit to `train`, choose among variants on `valid`; returns named validation losses.

        Both are images in the model's domain; `generator` makes any random start repeatable.
        """
        ...


@runtime_checkable
class UsesTrainingMean(Protocol):
    """Starts from the mean training image (an output bias, a centred input)."""

    def use_training_mean(self, mean: Tensor) -> None:
        """Told once, before the first step: ``[C, H, W]`` in [0, 1]. It belongs in a buffer or parameter."""
        ...


@runtime_checkable
class Finishes(Protocol):
    """Fits something of its own after the gradient steps, such as a density of its codes."""

    def finish(self, train: Tensor, valid: Tensor, generator: torch.Generator) -> dict[str, float]:
        """Called once with the kept parameters; returns named numbers for the validation history.

        Both are images in the model's domain. What is fitted belongs in buffers whose shapes follow from the
        settings, so that weights load.
        """
        ...


@runtime_checkable
class NoticesCollapse(Protocol):
    """Tells from its curves that a training has failed though every number is finite."""

    def collapse(self, curves: Mapping[str, Sequence[float]]) -> str | None:
        """Why the training has collapsed, or None: asked after each epoch, and a reason ends the training.

        `curves` holds the losses so far by ``train/<name>`` (epoch means) and ``valid/<name>``.
        """
        ...


@runtime_checkable
class CanSample(Protocol):
    """Draws images."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws in the model's domain."""
        ...


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
        """``[n, C, H, W]`` draws in the model's domain."""
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


def mlp(sizes: list[int], activation: str, *, batch_norm: bool = False) -> nn.Sequential:
    """Linear layers of the given sizes, each with an activation (after batch norm, if asked for)."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        norm: list[nn.Module] = [nn.BatchNorm1d(outputs)] if batch_norm else []
        layers += [nn.Linear(inputs, outputs), *norm, ACTIVATIONS[activation]()]
    return nn.Sequential(*layers)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) in nats, summed over the last axis."""
    return -0.5 * (z.square().sum(-1) + z.shape[-1] * math.log(2 * math.pi))


def gaussian_log_prob(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(x; mean, exp(log_variance)) in nats, summed over the last axis."""
    squares = (x - mean).square() * torch.exp(-log_variance)
    return -0.5 * (squares + log_variance + math.log(2 * math.pi)).sum(-1)
