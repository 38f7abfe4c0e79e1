"""Metrics of controls alone. They have no better direction: a control is judged by its outcome."""

from __future__ import annotations

from dgmbench.metrics.metric import Metric, Topic


def _of_control(name: str, label: str, unit: str, text: str) -> Metric:
    return Metric(name, label, unit, "none", Topic.CONTROL, text)


METRICS = (
    # Planted copies
    _of_control(
        "flagged_{metric}", "trials flagged by {metric}", "percent",
        "share of trials in which {metric} raised the alarm, at 5 % false alarms",
    ),
    # Pixel shift
    _of_control(
        "nearest_is_source", "source recalled", "percent",
        "share of shifted training images whose nearest training image is the one that was shifted",
    ),
    # Parzen against the truth, and mixtures with noise
    _of_control(
        "parzen_gap", "Parzen − exact", "nats",
        "Parzen's estimate minus the exact log-likelihood, on the same test points",
    ),
    _of_control(
        "noise_loss", "loss by noise", "nats",
        "log-likelihood of the pure model minus that of its mixture with uniform noise",
    ),
    _of_control(
        "noise_loss_bound", "largest loss by noise", "nats",
        "minus log of the share of the pure model: the mixture cannot lose more",
    ),
    # The theory of GANs
    _of_control(
        "discriminator_error", "error of D", "1",
        "mean distance of the trained discriminator from the optimal one, D*",
    ),
    _of_control("game_value", "value of D", "nats", "value of the game with the trained discriminator"),
    _of_control("game_value_error", "error of D's value", "nats", "distance of D's value from the optimum"),
    _of_control(
        "game_value_optimum", "optimal value", "nats",
        "value of the game with the optimal discriminator, 2 JSD − log 4",
    ),
    _of_control(
        "game_value_training", "value of D on its training draws", "nats",
        "value of the game on the draws that the discriminator was trained on",
    ),
    _of_control(
        "generator_gradient_minimax", "gradient to G, minimax", "1",
        "size of the gradient that the generator gets under the minimax loss",
    ),
    _of_control(
        "generator_gradient_non_saturating", "gradient to G, non-saturating", "1",
        "size of the gradient that the generator gets under the non-saturating loss",
    ),
    # A ring of Gaussians
    _of_control("modes_found", "modes found", "1", "modes with at least a tenth of the samples due to them"),
    _of_control("high_quality_share", "samples near a mode", "1", "share of samples near a mode"),
    # Trainings of GANs
    _of_control("training_succeeded", "training succeeded", "1", "1 for a training that ended as a success"),
    _of_control("rate_success", "rate of success", "1", "share of trainings that ended as a success"),
    _of_control("rate_poor", "rate of poor samples", "1", "share of trainings whose samples are poor"),
    _of_control("rate_classes_dropped", "rate of lost classes", "1", "share of trainings that lose classes"),
    _of_control("rate_collapsed", "rate of collapse", "1", "share of trainings that collapsed"),
    _of_control("rate_diverged", "rate of divergence", "1", "share of trainings that diverged"),
    # Estimators of the gradient
    _of_control(
        "gradient_variance", "gradient variance", "1",
        "variance of one estimate of the objective's gradient, summed over parameters, at fixed parameters "
        "and images",
    ),
    _of_control(
        "gradient_relative_variance", "gradient variance over its square", "1",
        "gradient variance over the squared length of the mean gradient",
    ),
    _of_control(
        "gradient_squared_bias", "squared bias of the gradient", "1",
        "squared length of the difference between the mean estimate and the exact gradient",
    ),
)  # fmt: skip
