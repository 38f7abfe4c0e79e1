"""Multinomial logistic regression by scikit-learn, its penalty chosen on validation images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_limits
from torch import Tensor

from dgmbench.models.semisupervised.classifier import classification_losses

# Of the gradient of the mean loss at which the fit ends.
TOLERANCE = 1e-8


@dataclass(frozen=True)
class ChosenLogistic:
    """The fit that validation chose.

    Args:
        weight: float64 ``[classes, d]``.
        bias: float64 ``[classes]``.
        C: the inverse of its penalty.
        losses: of the validation images, cross-entropy in nats and error in percent.
    """

    weight: Tensor
    bias: Tensor
    C: float
    losses: dict[str, float]


def chosen_logistic(
    known: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    classes: int,
    strengths: Sequence[float],
    tolerance: float = TOLERANCE,
) -> ChosenLogistic:
    """The fit with the least validation error, and of equals with the least cross-entropy.

    Args:
        known: ``x [n, d]`` and labels ``[n]`` to fit.
        held_out: the same of the validation images.
        strengths: candidates for C.
    """
    found = []
    for strength in sorted(strengths):
        weight, bias = fit_logistic(*known, classes, strength, tolerance)
        losses = classification_losses(F.linear(held_out[0].double(), weight, bias), held_out[1])
        named = {name: float(value) for name, value in losses.items()}
        found.append(ChosenLogistic(weight, bias, strength, named))
    return min(found, key=lambda fit: (fit.losses["error"], fit.losses["loss"]))


def fit_logistic(
    x: Tensor, y: Tensor, classes: int, strength: float, tolerance: float = TOLERANCE
) -> tuple[Tensor, Tensor]:
    """Weight ``[classes, d]`` and bias ``[classes]`` that minimise sum of cross-entropies + |W|^2 / (2 C).

    Both are float64 on the device of x. A class that has no example has no probability.

    Args:
        x: ``[n, d]``.
        y: int64 ``[n]``.
        strength: C.
        tolerance: of the gradient of the mean loss.
    """
    # Importing scikit-learn takes seconds, which no other family should wait for.
    from sklearn.linear_model import LogisticRegression

    with threadpool_limits(1):
        model = LogisticRegression(C=strength, max_iter=5000, tol=tolerance)
        model.fit(x.detach().double().cpu().numpy(), y.cpu().numpy())
    coefficients, intercepts = model.coef_, model.intercept_
    if len(coefficients) == 1:
        # Of two classes scikit-learn gives the log-odds of the second.
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([np.zeros(1), intercepts])
    weight, bias = np.zeros((classes, x.shape[1])), np.full(classes, -np.inf)
    weight[model.classes_], bias[model.classes_] = coefficients, intercepts
    return torch.from_numpy(weight).to(x.device), torch.from_numpy(bias).to(x.device)
