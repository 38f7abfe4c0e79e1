from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.naive_bayes import BernoulliNB, CategoricalNB
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import image_schema
from dgmbench.models.baselines.independent import Independent, IndependentSettings

SMOOTHINGS = [0.01, 0.3, 1.0, 5.0, 50.0]
VIEWS = [("binary", 2), ("gray", 3)]


def make(view: str, smoothings: list[float], levels: int, shape: tuple[int, int, int]) -> Independent:
    block = {"family": "independent", "view": view, "smoothings": smoothings}
    return Independent(IndependentSettings.model_validate(block), image_schema(shape, levels))


def images(view: str, n: int, levels: int, seed: int = 0) -> Tensor:
    """Skewed pixels ``[n, 1, 2, 2]``, so that no two of them share a distribution."""
    generator = torch.Generator().manual_seed(seed)
    powers = torch.tensor([0.5, 1.0, 2.0, 6.0]).reshape(2, 2)
    drawn = (torch.rand((n, 1, 2, 2), generator=generator) ** powers * levels).long()
    return drawn.float() if view == "binary" else drawn


def fitted(view: str, smoothings: list[float], levels: int) -> tuple[Independent, dict[str, float]]:
    model = make(view, smoothings, levels, (1, 2, 2))
    losses = model.fit(Batch(images(view, 40, levels)), Batch(images(view, 60, levels, 1)), torch.Generator())
    return model, losses


@pytest.mark.parametrize(("view", "levels"), VIEWS)
def test_probabilities_of_all_images_sum_to_one(view: str, levels: int) -> None:
    model, _ = fitted(view, SMOOTHINGS, levels)
    x = torch.tensor(list(itertools.product(range(levels), repeat=4))).reshape(-1, 1, 2, 2)
    log_probs = model.log_prob(x.float() if view == "binary" else x)
    assert math.isclose(float(log_probs.exp().sum()), 1.0, rel_tol=1e-12)
    assert float(log_probs.std()) > 0.5


@pytest.mark.parametrize("smoothing", [0.3, 5.0])
def test_probabilities_are_those_of_scikit_learn_s_naive_bayes_with_one_class(smoothing: float) -> None:
    labels = np.zeros(40)
    binary, _ = fitted("binary", [smoothing], 2)
    reference = BernoulliNB(alpha=smoothing).fit(images("binary", 40, 2).flatten(1).numpy(), labels)
    np.testing.assert_allclose(binary.log_probabilities[:, 1].numpy(), reference.feature_log_prob_[0])
    gray, _ = fitted("gray", [smoothing], 3)
    categorical = CategoricalNB(alpha=smoothing, min_categories=3)
    categorical.fit(images("gray", 40, 3).flatten(1).numpy(), labels)
    for ours, theirs in zip(gray.log_probabilities, categorical.feature_log_prob_, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs[0])


@pytest.mark.parametrize(("view", "levels"), VIEWS)
def test_validation_chooses_the_smoothing_with_the_least_loss(view: str, levels: int) -> None:
    model, losses = fitted(view, SMOOTHINGS, levels)
    alone = {smoothing: fitted(view, [smoothing], levels)[1]["loss"] for smoothing in SMOOTHINGS}
    assert len(set(alone.values())) == len(SMOOTHINGS)
    assert losses == {"loss": min(alone.values()), "smoothing": min(alone, key=lambda s: alone[s])}
    assert losses["loss"] == -float(model.log_prob(images(view, 60, levels, 1)).mean())


@pytest.mark.parametrize(("view", "levels"), VIEWS)
def test_samples_follow_the_probabilities(view: str, levels: int) -> None:
    model, _ = fitted(view, [1.0], levels)
    draws = model.sample(40_000, torch.Generator().manual_seed(0))
    assert draws.dtype == (torch.float32 if view == "binary" else torch.int64)
    shares = torch.nn.functional.one_hot(draws.flatten(1).long(), levels).double().mean(0)
    torch.testing.assert_close(shares, model.log_probabilities.exp(), atol=0.012, rtol=0)


def test_a_level_that_training_never_showed_has_a_finite_cost() -> None:
    model = make("gray", [0.1], 4, (1, 1, 1))
    model.fit(Batch(torch.zeros(9, 1, 1, 1).long()), Batch(torch.zeros(1, 1, 1, 1).long()), torch.Generator())
    cost = -float(model.log_prob(torch.full((1, 1, 1, 1), 3)))
    assert math.isclose(cost, -math.log(0.1 / 9.4))


def test_state_survives_a_round_trip_and_parameters_are_counted() -> None:
    model, _ = fitted("gray", SMOOTHINGS, 3)
    copy = make("gray", SMOOTHINGS, 3, (1, 2, 2))
    copy.load_state_dict(model.state_dict())
    x = images("gray", 20, 3, 2)
    assert torch.equal(copy.log_prob(x), model.log_prob(x))
    assert model.parameter_count() == 4 * 2
    assert make("binary", [1.0], 256, (1, 2, 2)).parameter_count() == 4


@pytest.mark.parametrize("smoothings", [[], [0.0], [-1.0]])
def test_smoothings_that_cannot_work_are_refused(smoothings: list[float]) -> None:
    with pytest.raises(ValueError, match="smoothings"):
        make("gray", smoothings, 3, (1, 2, 2))


def test_settings_are_checked_without_memory_for_the_state() -> None:
    with torch.device("meta"):
        model = make("gray", [1.0], 256, (1, 28, 28))
    assert all(buffer.is_meta for buffer in model.buffers())
