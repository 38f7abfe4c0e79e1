"""M2 on pixels (Kingma, Mohamed, Rezende & Welling 2014, section 2.1): p(x|y, z) p(y) p(z), and q(y|x).

See `dgmbench.models.semisupervised.class_latent` for the bounds and the objective. p(x|y, z) is Bernoulli.
Training images are binarised afresh in every batch, each pixel by its intensity; q(z|x, y) and p(x|y, z) see
the binary image, and q(y|x) the gray one, in training as on held-out images.

Deviations from the original code: a batch has `labelled_batch` labelled images (the original has 1), which
changes the variance of the objective's estimate alone; the weights have no prior of their own. At 100 labels
of MNIST the published error is 11.97 % (deviation 1.71), after thousands of epochs: a public rerun logs
42.6 % after 10 epochs, 35.5 % after 300 and 7.15 % after 3000.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.pixels import binarise, intensity
from dgmbench.data.schema import Schema
from dgmbench.models.latent.decoding import bernoulli_log_prob
from dgmbench.models.parts.observations import full_precision
from dgmbench.models.semisupervised.class_latent import ClassLatent, Half, objective
from dgmbench.models.semisupervised.class_model import ClassModel, ClassModelSettings


class M2(ClassModel):
    """q(y|x), q(z|x, y) and p(x|y, z) of images."""

    Settings = ClassModelSettings

    def __init__(self, settings: ClassModelSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.m2 = ClassLatent(self.dims, self.classes, settings.latent_dim, settings.hidden, self.dims)

    def inputs(self, x: Tensor) -> Tensor:
        """Intensities."""
        return intensity(x, self.levels).flatten(1)

    def decode_given(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean images ``[n, C, H, W]`` in [0, 1] for ``z [n, latent_dim]`` and classes ``y [n]``."""
        return torch.sigmoid(full_precision(self.m2.decoder(z, y))).reshape(-1, *self.image_shape)

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """The loss and its parts, nats per image of the pool."""
        pool, known = batch.unlabelled(), batch.labelled()
        assert known.label is not None
        pool_half, known_half = self._half(pool.x, generator), self._half(known.x, generator)
        noise = self.m2.draw(len(pool), len(known), generator)
        return objective(self.m2, pool_half, known_half, known.label, noise, self.share, self.alpha)

    def _half(self, x: Tensor, generator: torch.Generator) -> Half:
        pixels = binarise(x, self.levels, generator).flatten(1)
        return Half(self.inputs(x), pixels, lambda logits: bernoulli_log_prob(pixels, full_precision(logits)))
