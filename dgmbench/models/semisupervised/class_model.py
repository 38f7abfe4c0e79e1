"""What models of x given its class and a style have in common: M2, and M1+M2."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Model, Supervision
from dgmbench.models.semisupervised.class_latent import ClassLatent
from dgmbench.models.semisupervised.classifier import classification_losses, known_labels
from dgmbench.models.semisupervised.settings import PartialSettings, classes_of


class ClassModelSettings(PartialSettings):
    """M2's networks and its objective."""

    hidden: list[PositiveInt] = Field(
        [300], min_length=1, description="widths of each of M2's three networks"
    )
    latent_dim: PositiveInt = Field(50, description="dimensions of M2's z")
    alpha: NonNegativeFloat = Field(0.1, description="weight of the classification term")


class ClassModel(Model):
    """A model around M2, which reads images as `inputs` gives them and decodes by `decode_given`.

    Epochs are chosen by the error on labelled validation images. Samples are mean images of the last decoder:
    its pixels are Bernoulli, and a draw of them would be noise that gray images do not have. So they are
    judged as images, and there is no likelihood that compares with other models of gray images.
    """

    views = ("gray",)
    supervision: ClassVar[Supervision] = "partial"
    selection_loss = "error"
    m2: ClassLatent
    share: Tensor

    def __init__(self, settings: ClassModelSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.alpha, self.classes, self.style_dim = settings.alpha, classes_of(schema), settings.latent_dim
        # N_l / N.
        self.register_buffer("share", torch.tensor(1.0))

    @classmethod
    def takes_densities(cls, settings: Any) -> bool:
        """Levels: pixels are binarised by their intensities."""
        return False

    def use_training_sizes(self, pool: int, labelled: int) -> None:
        """Keep N_l / N."""
        self.share.fill_(labelled / pool)

    def inputs(self, x: Tensor) -> Tensor:
        """What M2 reads of images in levels, ``[n, inputs]``."""
        raise NotImplementedError

    def decode_given(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` in [0, 1] for ``z [n, latent_dim]`` and classes ``y [n]``."""
        raise NotImplementedError

    def validation_losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy in nats and error in percent."""
        return classification_losses(self.m2.log_class(self.inputs(batch.x)), known_labels(batch))

    def predict(self, x: Tensor) -> Tensor:
        """``[n, classes]`` class probabilities q(y|x)."""
        return self.m2.log_class(self.inputs(x)).exp()

    def style(self, x: Tensor, y: Tensor) -> Tensor:
        """Means of q(z|x, y), ``[n, style_dim]``, for images in levels."""
        return self.m2.posterior(self.inputs(x), y)[..., : self.style_dim]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Mean images in levels, ``[n, C, H, W]``, each of a class drawn uniformly."""
        y = torch.randint(self.classes, (n,), generator=generator, device=self.share.device)
        return self.sample_given(y, generator)

    def sample_given(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """Mean images in levels, ``[n, C, H, W]``, for draws of z and classes ``condition [n]``."""
        z = self.m2.prior_draw(len(condition), generator)
        return self.in_levels(self.decode_given(z, condition))

    def in_levels(self, means: Tensor) -> Tensor:
        """Intensities in [0, 1] as the nearest levels, int64."""
        return (means * (self.levels - 1)).round().long()
