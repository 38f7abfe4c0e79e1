"""Virtual adversarial training: directions that are known, the divergence, and what the model does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from partial import (
    CLASSES,
    LEVELS,
    SHAPE,
    assert_same_step,
    change,
    generator,
    intensities,
    learn,
    partial_batch,
    quadrants,
)
from torch import Tensor

from dgmbench.data.schema import image_schema
from dgmbench.models.capabilities import CanEncode, CanPredict
from dgmbench.models.semisupervised.vat import VAT, VATSettings
from dgmbench.models.semisupervised.virtual_adversarial import adversarial_direction, divergence, unit


def linear(classes: int, inputs: int = 6) -> Tensor:
    return torch.randn(classes, inputs, dtype=torch.float64, generator=generator(4))


def examples(n: int = 5, inputs: int = 6) -> Tensor:
    return torch.randn(n, inputs, dtype=torch.float64, generator=generator(5))


def direction_of(weights: Tensor, x: Tensor, iterations: int) -> Tensor:
    def logits_of(inputs: Tensor) -> Tensor:
        return inputs @ weights.T

    return adversarial_direction(
        logits_of, x, logits_of(x), generator(), iterations=iterations, difference=1e-4
    )


def hessian(weights: Tensor, x: Tensor) -> Tensor:
    """Of KL(p(y|x) || p(y|x + r)) at r = 0: W' (diag p - p p') W."""
    p = (weights @ x).softmax(0)
    return weights.T @ (torch.diag(p) - torch.outer(p, p)) @ weights


def test_no_perturbation_has_no_divergence_and_others_have_that_of_the_definition() -> None:
    logits, others = examples(4, 3), examples(4, 3) + 1.5 * examples(4, 3).flip(1)
    assert torch.equal(divergence(logits, logits), torch.zeros(4, dtype=torch.float64))
    p, q = logits.softmax(1), others.softmax(1)
    torch.testing.assert_close(divergence(logits, others), (p * (p / q).log()).sum(1))


def test_of_two_classes_one_iteration_gives_the_difference_of_their_weights() -> None:
    weights, x = linear(2), examples()
    found = direction_of(weights, x, 1)
    expected = unit((weights[0] - weights[1])[None])[0]
    torch.testing.assert_close((found @ expected).abs(), torch.ones(5, dtype=torch.float64))


def test_power_iteration_finds_the_leading_eigenvector() -> None:
    weights, x = linear(3), examples()
    found = direction_of(weights, x, 200)
    for image, direction in zip(x, found, strict=True):
        _, vectors = torch.linalg.eigh(hessian(weights, image))
        assert float((vectors[:, -1] @ direction).abs()) == pytest.approx(1.0, abs=1e-4)


def test_one_iteration_is_the_hessian_times_the_first_direction() -> None:
    weights, x = linear(3), examples()
    first = direction_of(weights, x, 0)
    expected = torch.stack([hessian(weights, image) @ d for image, d in zip(x, first, strict=True)])
    torch.testing.assert_close(direction_of(weights, x, 1), unit(expected), atol=1e-3, rtol=0)


def test_unit_vectors_of_tiny_and_of_no_length() -> None:
    tiny = torch.tensor([[3e-30, 4e-30], [0.0, 0.0]])
    torch.testing.assert_close(unit(tiny), torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


def make(**others: Any) -> VAT:
    settings = VATSettings.model_validate({"family": "vat", "view": "gray", "hidden": [32, 16]} | others)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VAT(settings, image_schema(SHAPE, LEVELS, CLASSES))


def by_hand(model: VAT, x: Tensor) -> Tensor:
    """Logits in training: batch norm after every hidden layer, none of the logits."""
    net: Any = model.network
    for linear, norm in zip(net.linear, net.norms, strict=True):
        a = x @ linear.weight.T
        x = (a - a.mean(0)) / (a.var(0, correction=0) + 1e-6).sqrt() * norm.weight + norm.bias
        x = x.clamp_min(0)
    return x @ net.last.weight.T + net.last.bias


def test_a_step_is_that_of_the_paper() -> None:
    model = make(weight=2.0, length=0.7, difference=0.3, iterations=2).train()
    change(model)
    batch = partial_batch(model, *quadrants(40, 1), 8)
    x = intensities(batch.x)
    pool, known = x[:40], x[40:]
    assert batch.label is not None
    supervised = -by_hand(model, known).log_softmax(1)[range(8), batch.label[40:]].mean()
    kept = by_hand(model, pool).detach()
    direction = adversarial_direction(
        lambda each: by_hand(model, each), pool, kept, generator(5), iterations=2, difference=0.3
    )
    log_p, log_q = kept.log_softmax(1), by_hand(model, pool + 0.7 * direction).log_softmax(1)
    difference = (log_p.exp() * (log_p - log_q)).sum(1).mean()
    expected = {"loss": supervised + 2.0 * difference, "supervised": supervised, "divergence": difference}
    assert_same_step(model, model.step(batch, "model", generator(5)), expected)


def test_adversarial_directions_change_predictions_more_than_random_ones() -> None:
    batch = partial_batch(make(), *quadrants(40, 1), 8)
    adversarial, random = (
        make(iterations=n, length=1.0).train().step(batch, "model", generator())["divergence"] for n in (1, 0)
    )
    assert float(adversarial.detach()) > 1.5 * float(random.detach())


def test_running_moments_are_those_of_the_unlabelled_images() -> None:
    model = make()
    batch = partial_batch(model, *quadrants(40, 1), 8)
    model.train().step(batch, "model", generator())
    with torch.no_grad():
        outputs = model.network.linear[0](intensities(batch.x[:40]))
    norm = model.network.norms[0]
    torch.testing.assert_close(norm.running_mean, 0.1 * outputs.mean(0))
    assert int(norm.num_batches_tracked) == 1


def test_the_prediction_that_is_kept_gives_no_gradient() -> None:
    model = make(length=1e-6)
    batch = partial_batch(model, *quadrants(40, 1), 8)
    model.train().step(batch, "model", generator())["divergence"].backward()
    # At no perturbation the divergence is at its minimum in the other argument alone.
    assert all(float(p.grad.abs().max()) < 1e-3 for p in model.parameters() if p.grad is not None)


def test_it_learns_a_separable_toy_of_two_labels_a_class() -> None:
    assert learn(make(), 100, 3e-3) < 5.0


def test_what_it_gives() -> None:
    model = make().eval()
    assert isinstance(model, CanPredict) and isinstance(model, CanEncode)
    x = partial_batch(model, *quadrants(40, 1), 8).x
    torch.testing.assert_close(model.predict(x).sum(1), torch.ones(48))
    assert model.encode(x).shape == (48, 16)


def test_an_epoch_may_end_with_one_image() -> None:
    model = make().train()
    batch = partial_batch(model, *quadrants(1, 1), 1)
    assert torch.isfinite(model.step(batch, "model", generator())["loss"])


def test_autocast_leaves_directions_and_the_divergence_close_to_what_they_are() -> None:
    batch = partial_batch(make(), *quadrants(40, 1), 8)
    plain = make().train().step(batch, "model", generator())["divergence"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = make().train().step(batch, "model", generator())["divergence"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, plain, rtol=0.05, atol=0)


def test_far_gradients_find_the_perturbation_that_makes_a_sure_prediction_less_sure() -> None:
    # An eigenvector has no sign, and one of its two signs makes the prediction surer.
    weights, x = 3.0 * linear(10), examples(400)

    def logits_of(inputs: Tensor) -> Tensor:
        return inputs @ weights.T

    p, top = logits_of(x).softmax(1).max(1)
    x, top = x[p > 0.9], top[p > 0.9, None]

    def less_sure(difference: float) -> float:
        found = adversarial_direction(
            logits_of, x, logits_of(x), generator(), iterations=1, difference=difference
        )
        moved = logits_of(x + 0.01 * found).softmax(1).gather(1, top)
        return float((moved < logits_of(x).softmax(1).gather(1, top)).double().mean())

    assert len(x) > 100
    assert 0.4 < less_sure(1e-4) < 0.6
    assert less_sure(10.0) > 0.7
