"""M1 (Kingma, Mohamed, Rezende & Welling 2014, section 2.1): features of a VAE and a classifier of them.

The VAE is trained on the pool without labels, its epoch chosen by the ELBO of validation images. Afterwards a
logistic regression is fitted to the features of the labelled images, with an L2 penalty.

Deviation: the paper's classifier is a transductive SVM, which also sees the unlabelled features. The logistic
regression sees the labelled ones alone. Its penalty is chosen by the error on labelled validation images,
and among equals by their cross-entropy.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Model, Supervision
from dgmbench.models.semisupervised.classifier import known_labels
from dgmbench.models.semisupervised.feature_vae import DECIDING, FeatureVAE
from dgmbench.models.semisupervised.logistic_fit import chosen_logistic
from dgmbench.models.semisupervised.settings import LabelledSettings, classes_of


class M1Settings(LabelledSettings):
    """The VAE, and the penalties that are tried."""

    hidden: list[PositiveInt] = Field(
        [500, 500], min_length=1, description="widths of the encoder; the decoder mirrors them"
    )
    latent_dim: PositiveInt = Field(50, description="dimensions of z")
    strengths: list[PositiveFloat] = Field(
        [1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0],
        min_length=1,
        description="candidates for C, the inverse of the penalty; the best on validation is kept",
    )


class M1(Model):
    """q(z|x), and p(y|z) fitted at the end."""

    Settings = M1Settings
    views = ("gray",)
    supervision: ClassVar[Supervision] = "partial"
    weight: Tensor
    bias: Tensor

    def __init__(self, settings: M1Settings, schema: Schema) -> None:
        super().__init__(settings, schema)
        classes = classes_of(schema)
        self.strengths = settings.strengths
        self.vae = FeatureVAE(self.image_shape, self.levels, settings.latent_dim, settings.hidden)
        self.register_buffer("weight", torch.zeros(classes, settings.latent_dim))
        self.register_buffer("bias", torch.zeros(classes))

    @classmethod
    def takes_densities(cls, settings: Any) -> bool:
        """Levels: pixels are binarised by their intensities."""
        return False

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative ELBO of the images of the pool."""
        return self.vae.loss(batch.unlabelled().x, generator)

    def validation_losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative ELBO, labelled or not."""
        return self.vae.loss(batch.x, generator)

    @torch.no_grad()
    def finish(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Choose the features and fit the classifier; its validation error in percent, and C."""
        labelled = train.labelled()
        self.vae.choose_features(self.vae.codes(train.x[:DECIDING]))
        known, held_out = ((self.encode(each.x), known_labels(each)) for each in (labelled, valid))
        found = chosen_logistic(known, held_out, len(self.bias), self.strengths)
        self.weight.copy_(found.weight)
        self.bias.copy_(found.bias)
        return {"error": found.losses["error"], "cross_entropy": found.losses["loss"], "C": found.C}

    def encode(self, x: Tensor) -> Tensor:
        """The features, ``[n, latent_dim]``."""
        return self.vae.features(x)

    def predict(self, x: Tensor) -> Tensor:
        """``[n, classes]`` class probabilities."""
        return F.linear(self.encode(x), self.weight, self.bias).softmax(1)
