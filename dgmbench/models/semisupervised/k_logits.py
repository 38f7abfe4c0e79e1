"""The K+1 classes of the semi-supervised GAN, images of the generator being the last, by K logits alone.

Softmax over K+1 logits does not change when the same number is taken off all of them, so the last one can be
held at 0 (Salimans et al. 2016, section 5). With Z = sum_k exp l_k then p(real|x) = Z/(Z + 1), and given that
an image is real, p(y|x, real) = exp l_y / Z.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def labelled_loss(logits: Tensor, label: Tensor) -> Tensor:
    """-log p(y|x, real), the mean over ``logits [n, K]``."""
    return F.cross_entropy(logits, label)


def unlabelled_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-1/2 E log p(real|x) - 1/2 E log p(fake|G(z)) of logits ``[n, K]`` of images and of the generator's.

    log p(real|x) = log Z - softplus(log Z) and log p(fake|x) = -softplus(log Z).
    """
    log_real, log_fake = torch.logsumexp(real, 1), torch.logsumexp(fake, 1)
    return 0.5 * (F.softplus(log_real) - log_real).mean() + 0.5 * F.softplus(log_fake).mean()


def feature_matching(real: Tensor, fake: Tensor) -> Tensor:
    """Squared difference of the mean features ``[n, f]``, the mean over features as in the original code."""
    return (real.mean(0) - fake.mean(0)).square().mean()
