"""M1+M2 (Kingma, Mohamed, Rezende & Welling 2014, section 2.1): M2 on the features of M1.

The training has two stages. First M1, a VAE of the pool, is trained without labels. Then its encoder stands:
q(z1|x) of every training image is computed once, the features are chosen, and M2 is trained on them. In
training, features are drawn afresh from N(mu, sigma^2) of q(z1|x) in every batch; held-out images are
classified by mu. p(z1|y, z2) is Gaussian with learned variances.

Deviations from the original code: both stages have one batch size (the original has 1000 and 500); a batch
has `labelled_batch` labelled images (the original has 1), which changes the variance of the objective's
estimate alone; the weights have no prior of their own. The original reports the test error; here epochs are
chosen by the error on labelled validation images.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Self

import torch
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.parts.observations import full_precision
from dgmbench.models.semisupervised.class_latent import ClassLatent, Half, LogProb, objective
from dgmbench.models.semisupervised.class_model import ClassModel, ClassModelSettings
from dgmbench.models.semisupervised.feature_vae import FeatureVAE


class M1M2Settings(ClassModelSettings):
    """Both models; `training` is the whole, its learning rate that of M2."""

    m1_epochs: PositiveInt = Field(50, description="of the training's epochs, those of M1; M2 has the rest")
    m1_learning_rate: PositiveFloat = Field(3e-4, description="step size of M1")
    m1_hidden: list[PositiveInt] = Field(
        [500, 500], min_length=1, description="widths of M1's encoder; its decoder mirrors them"
    )
    m1_latent_dim: PositiveInt = Field(50, description="dimensions of z1")

    @model_validator(mode="after")
    def _both_are_trained(self) -> Self:
        if self.m1_epochs >= self.training.epochs:
            raise ValueError(
                f"m1_epochs: {self.m1_epochs} of {self.training.epochs} epochs leave none for M2"
            )
        return self


class M1M2(ClassModel):
    """p(x|z1) p(z1|y, z2) p(y) p(z2), trained one after the other."""

    Settings = M1M2Settings
    phases = ("m1", "m2")
    encoded: Tensor

    def __init__(self, settings: M1M2Settings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.settings = settings
        width = settings.m1_latent_dim
        self.m1 = FeatureVAE(self.image_shape, self.levels, width, settings.m1_hidden)
        self.m2 = ClassLatent(width, self.classes, settings.latent_dim, settings.hidden, 2 * width)
        # Whether the first stage has ended.
        self.register_buffer("encoded", torch.tensor(False))

    # The stages

    def first_stage_epochs(self, epochs: int) -> int:
        """M1's part of so many epochs: that of the settings where the training is as long as they say."""
        part = round(epochs * self.settings.m1_epochs / self.settings.training.epochs)
        return min(max(part, 1), epochs - 1)

    def codes(self, x: Tensor) -> Tensor:
        """Mean and log-variance of q(z1|x), ``[n, 2, m1_latent_dim]``."""
        return self.m1.codes(x)

    def end_first_stage(self, codes: Tensor) -> None:
        """M1 stands: choose the features by the codes of the pool."""
        self.m1.choose_features(codes)
        self.encoded.fill_(True)

    def phases_at(self, step: int) -> tuple[str, ...]:
        """M1, and after the first stage M2."""
        return ("m2",) if self.encoded else ("m1",)

    def phase_parameters(self, phase: str) -> Iterable[nn.Parameter]:
        """Those of M1, or of M2."""
        return (self.m1 if phase == "m1" else self.m2).parameters()

    def rate_of(self, phase: str) -> float:
        """M1's step size is a setting of its own."""
        if phase == "m2":
            return 1.0
        return self.settings.m1_learning_rate / self.settings.training.learning_rate

    # Training

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """M1's negative ELBO of images of the pool; or M2's loss, with codes for x."""
        if phase == "m1":
            return self.m1.loss(batch.unlabelled().x, generator)
        batch = replace(batch, x=drawn(batch.x[:, 0], batch.x[:, 1], generator) * self.m1.used)
        pool, known = batch.unlabelled(), batch.labelled()
        assert known.label is not None
        noise = self.m2.draw(len(pool), len(known), generator)
        pool_half, known_half = self._half(pool.x), self._half(known.x)
        return objective(self.m2, pool_half, known_half, known.label, noise, self.share, self.alpha)

    def _half(self, features: Tensor) -> Half:
        return Half(features, features, gaussian_features(features, self.m1.used))

    def validation_losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """M1's losses in its stage, then the cross-entropy in nats and the error in percent."""
        if not self.encoded:
            return {f"m1_{name}": value for name, value in self.m1.loss(batch.x, generator).items()}
        return super().validation_losses(batch, generator)

    # What it can do

    def inputs(self, x: Tensor) -> Tensor:
        """M1's features, ``[n, m1_latent_dim]``."""
        return self.m1.features(x)

    def encode(self, x: Tensor) -> Tensor:
        """M1's features, ``[n, m1_latent_dim]``."""
        return self.m1.features(x)

    def decode_given(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` in [0, 1] of the mean features given z2 and classes y."""
        return self.m1.images(self._feature_parameters(z, y)[0] * self.m1.used)

    def sample_given(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """Mean images in levels, ``[n, C, H, W]``, of features drawn given classes ``condition [n]``."""
        z = self.m2.prior_draw(len(condition), generator)
        features = drawn(*self._feature_parameters(z, condition), generator)
        return self.in_levels(self.m1.images(features * self.m1.used))

    def _feature_parameters(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = full_precision(self.m2.decoder(z, y)).chunk(2, -1)
        return mean, log_variance


def drawn(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """A draw of a diagonal Gaussian."""
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return torch.addcmul(mean, torch.exp(0.5 * log_variance), noise)


def gaussian_features(features: Tensor, used: Tensor) -> LogProb:
    """log p(z1|y, z2) of the features that are used, as a function of the decoder's outputs."""

    def log_prob(outputs: Tensor) -> Tensor:
        mean, log_variance = outputs.chunk(2, -1)
        squares = (features - mean).square() * torch.exp(-log_variance)
        return -0.5 * ((squares + log_variance + math.log(2 * math.pi)) @ used)

    return log_prob
