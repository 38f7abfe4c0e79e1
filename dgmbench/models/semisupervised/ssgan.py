"""The semi-supervised generative adversarial network (Salimans et al. 2016, section 5), with the networks of
its MNIST experiment.

The discriminator is the classifier: K logits, Gaussian noise before every layer, weight normalisation with
data-dependent initialisation on 500 images, the scales frozen there but for the last layer's. Its loss is the
cross-entropy of labelled images plus that of real against generated ones (`k_logits`). The generator matches
the mean features of the last hidden layer. Images are intensities in [0, 1], without dequantisation.

As in the original code, predictions come from an exponential average of the discriminator's parameters, and
Adam's epsilon is 1e-4: the code adds 1e-8 under the root.

Deviations from that code: it trains on the validation images too and reports the test error of every epoch,
where the epoch is chosen here by the error on labelled validation images; both players see the same images
in a step, where it shuffles twice; the average starts from the first parameters, not from 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Supervision
from dgmbench.models.parts.average import ParameterAverage
from dgmbench.models.semisupervised.classifier import ImageClassifier
from dgmbench.models.semisupervised.k_logits import feature_matching, labelled_loss, unlabelled_loss
from dgmbench.models.semisupervised.settings import PartialSettings
from dgmbench.models.semisupervised.ssgan_networks import Discriminator, Generator
from dgmbench.settings.block import Pair
from dgmbench.settings.budget import MomentDecay, TrainingBudget


class SSGANTraining(TrainingBudget):
    """The budget of the paper's MNIST experiment."""

    epochs: PositiveInt = Field(300, description="passes over the training images")
    learning_rate: float = Field(3e-3, gt=0, description="Adam's step size of both networks")
    betas: Pair[MomentDecay] = Field((0.5, 0.999), description="Adam's moment decays")
    epsilon: PositiveFloat = Field(1e-4, description="what is added to the root of the second moment")


class SSGANSettings(PartialSettings):
    """Sizes of the two networks, and the discriminator's noise."""

    latent_dim: PositiveInt = Field(100, description="dimensions of z, uniform on [0, 1]")
    generator_hidden: list[PositiveInt] = Field([500, 500], min_length=1, description="generator widths")
    discriminator_hidden: list[PositiveInt] = Field(
        [1000, 500, 250, 250, 250], min_length=1, description="discriminator widths"
    )
    input_noise: NonNegativeFloat = Field(0.3, description="deviation of the noise on pixels")
    hidden_noise: NonNegativeFloat = Field(0.5, description="deviation of the noise before other layers")
    unlabelled_weight: NonNegativeFloat = Field(1.0, description="of real against generated images")
    generator_rate: PositiveFloat = Field(1.0, description="the generator's step size over D's")
    first_images: int = Field(500, ge=2, description="images that the discriminator is initialised on")
    average: float = Field(
        0.9999,
        ge=0,
        lt=1,
        description="decay of the average of D's parameters, which predicts; 0: there is none",
    )
    training: SSGANTraining = SSGANTraining()


class SSGAN(ImageClassifier):
    """A classifier that also separates images from generated ones."""

    Settings = SSGANSettings
    supervision: ClassVar[Supervision] = "partial"
    phases: ClassVar[tuple[str, ...]] = ("discriminator", "generator")

    def __init__(self, settings: SSGANSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.settings, self.start_examples = settings, settings.first_images
        self.discriminator = Discriminator(
            [self.dims, *settings.discriminator_hidden],
            self.classes,
            settings.input_noise,
            settings.hidden_noise,
        )
        self.generator = Generator([settings.latent_dim, *settings.generator_hidden], self.dims)
        self.average = ParameterAverage(self.discriminator, settings.average) if settings.average else None

    # Training

    def start_from(self, batch: Batch, generator: torch.Generator) -> None:
        """Initialise the discriminator on images."""
        self.discriminator.initialise(self.flat(batch.x), generator)

    def phase_parameters(self, phase: str) -> Iterable[nn.Parameter]:
        """Generator or discriminator parameters."""
        return self.generator.parameters() if phase == "generator" else self.discriminator.parameters()

    def rate_of(self, phase: str) -> float:
        """The generator's step size is a multiple of the discriminator's."""
        return self.settings.generator_rate if phase == "generator" else 1.0

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of one player, means over the images; ``phase`` says whose move it is."""
        pool = self.flat(batch.unlabelled().x)
        if phase == "generator":
            return self._generator_losses(pool, generator)
        return self._discriminator_losses(pool, batch.labelled(), generator)

    def _generator_losses(self, pool: Tensor, noise: torch.Generator) -> dict[str, Tensor]:
        drawn = self._generated(len(pool), noise)
        with torch.no_grad():
            real = self.discriminator.features(pool, noise)
        return {"loss": feature_matching(real, self.discriminator.features(drawn, noise, frozen=True))}

    def _discriminator_losses(
        self, pool: Tensor, labelled: Batch, noise: torch.Generator
    ) -> dict[str, Tensor]:
        assert labelled.label is not None
        with torch.no_grad():
            drawn = self._generated(len(pool), noise)
        # One pass of all images: no layer mixes them.
        parts = [pool, drawn, self.flat(labelled.x)]
        _, logits = self.discriminator(torch.cat(parts), noise)
        real, fake, known = logits.split([len(part) for part in parts])
        named = {
            "supervised": labelled_loss(known, labelled.label),
            "unsupervised": unlabelled_loss(real, fake),
        }
        return {"loss": named["supervised"] + self.settings.unlabelled_weight * named["unsupervised"]} | named

    def after_step(self, phase: str) -> None:
        """Move the average."""
        if phase == "discriminator" and self.average is not None:
            self.average.update(self.discriminator)

    # Use

    def logits(self, x: Tensor) -> Tensor:
        """``[n, classes]``, without noise; their softmax is p(y|x, real)."""
        return self._judged(x)[1]

    def encode(self, x: Tensor) -> Tensor:
        """The discriminator's last hidden layer, ``[n, width]``, without noise."""
        return self._judged(x)[0]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` levels: the intensities G(z), each at the nearest level."""
        images = self.generator(self._z(n, generator))
        return (images * (self.levels - 1)).round().long().reshape(n, *self.image_shape)

    def _judged(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits, by the average where there is one."""
        if self.average is None or int(self.average.updates) == 0:
            return self.discriminator(self.flat(x))
        return self.average.call(self.discriminator, self.flat(x))

    def _generated(self, n: int, noise: torch.Generator) -> Tensor:
        # The end of an epoch may be a single image, of which batch norm can make nothing.
        return self.generator(self._z(max(n, 2), noise))

    def _z(self, n: int, generator: torch.Generator) -> Tensor:
        like = self.generator.pixels.bias
        return torch.rand((n, self.settings.latent_dim), generator=generator, device=like.device)
