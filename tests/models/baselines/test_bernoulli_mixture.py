"""The mixture of Bernoulli products: its likelihood, choices on valid, samples, state and settings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from binary_truth import SHAPE, fitted, flat, images, make
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.pixels import binarise
from dgmbench.data.prepare import load_splits
from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.baselines.bernoulli_em import Prior, assign, marginal, maximise, run_em, spread_seeds
from dgmbench.models.baselines.independent import Independent, IndependentSettings
from dgmbench.models.capabilities import (
    CanComplete,
    CanDecode,
    CanEncode,
    CanPredict,
    CanSample,
    HasLogProb,
    HasLogWeights,
)
from dgmbench.models.hooks import ClosedForm


def all_images() -> Tensor:
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=6))).reshape(-1, *SHAPE)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_probabilities_of_all_images_sum_to_one(k: int) -> None:
    model, _ = fitted(components=[k])
    assert math.isclose(float(model.log_prob(all_images()).exp().sum()), 1.0, rel_tol=1e-12)


def test_probabilities_and_responsibilities_are_those_of_the_formula() -> None:
    model, _ = fitted(components=[3])
    mixture, x = model.mixture(), images(20, 2).flatten(1).double()
    p = torch.sigmoid(mixture.logits)
    joint = mixture.log_proportions.exp() * torch.stack(
        [(row**x * (1 - row) ** (1 - x)).prod(1) for row in p], dim=1
    )
    torch.testing.assert_close(model.log_prob(images(20, 2)).exp(), joint.sum(1))
    torch.testing.assert_close(model.encode(images(20, 2)), joint / joint.sum(1, keepdim=True))


def test_validation_chooses_among_components_and_pseudo_counts() -> None:
    components, counts = [1, 2, 20], [0.1, 10.0, 200.0]
    model, losses = fitted(components=components, pseudo_counts=counts)
    alone = {(k, a): fitted(components=[k], pseudo_counts=[a])[1]["loss"] for k in components for a in counts}
    best = min(alone, key=lambda pair: alone[pair])
    assert (losses["components"], losses["pseudo_count"]) == best
    assert losses["loss"] == alone[best] == -float(model.log_prob(images(200, 1)).mean())
    assert model.encode(images(5)).shape == (5, best[0])


def test_the_best_of_the_short_runs_is_continued() -> None:
    model, losses = fitted(components=[8], restarts=6, short_iterations=4, tolerance=1e-6)
    x = flat(300)
    seed = int(torch.randint(2**31 - 1, (), generator=torch.Generator().manual_seed(3)))
    generator, prior = torch.Generator().manual_seed(seed), Prior(1.0, marginal(x))
    starts = [maximise(assign(x, spread_seeds(x, 8, generator)), prior) for _ in range(6)]
    runs = [run_em(x, start, prior, 4, 1e-6) for start in starts]
    ends = [history[-1] for _, history in runs]
    assert len(set(ends)) == 6
    expected, history = run_em(x, runs[int(np.argmax(ends))][0], prior, 200, 1e-6)
    assert torch.equal(model.mixture().logits, expected.logits) and losses["iterations"] == len(history)


def test_samples_follow_the_probabilities() -> None:
    model, _ = fitted(components=[3])
    draws = model.sample(60_000, torch.Generator().manual_seed(0)).flatten(1).long()
    codes = (draws * 2 ** torch.arange(5, -1, -1)).sum(1)
    observed = torch.bincount(codes, minlength=64) / len(codes)
    expected = model.log_prob(all_images()).exp()
    errors = (expected * (1 - expected) / len(codes)).sqrt()
    assert bool(((observed - expected).abs() < 4.5 * errors).all())


def test_draws_of_one_component_average_to_its_mean_image() -> None:
    model, _ = fitted(components=[3])
    z = torch.full((50_000,), 2)
    draws = model.decoder_sample(z, torch.Generator().manual_seed(0))
    torch.testing.assert_close(draws.double().mean(0), model.decode(z[:1])[0], atol=0.01, rtol=0)


def test_state_survives_a_round_trip_and_parameters_are_counted() -> None:
    model, _ = fitted(components=[2, 250])
    copy = make(components=[2, 250])
    copy.load_state_dict(model.state_dict())
    assert torch.equal(copy.log_prob(all_images()), model.log_prob(all_images()))
    assert copy.parameter_count() == 1 + 2 * 6
    again, _ = fitted(components=[2, 250])
    assert torch.equal(again.log_prob(all_images()), model.log_prob(all_images()))


def test_baselines_rank_on_digits_as_they_should() -> None:
    """Binary: uniform < independent pixels < mixture of Bernoullis."""
    splits, noise = load_splits("digits", seed=0).splits, torch.Generator().manual_seed(0)
    parts = [torch.from_numpy(splits[name].images.copy()) for name in ("train", "valid", "test")]
    train, valid, test = (binarise(part, 17, noise) for part in parts)
    shape = (1, 8, 8)
    independent = Independent(
        IndependentSettings.model_validate({"family": "independent", "view": "binary"}),
        image_schema(shape, 17),
    )
    mixture = make(shape, components=[30], pseudo_counts=[3.0])
    scores = []
    for model in (independent, mixture):
        model.fit(Batch(train), Batch(valid), torch.Generator().manual_seed(0))
        scores.append(float(model.log_prob(test).mean()))
    assert -64 * math.log(2) + 10 < scores[0] < scores[1] - 2


def test_settings_that_cannot_work_are_refused() -> None:
    for key, value in (("components", []), ("components", [0]), ("pseudo_counts", [0.0]), ("restarts", 0)):
        with pytest.raises(ValueError, match=key):
            make(**{key: value})
    with pytest.raises(SettingsError, match="there are only 300 training images"):
        fitted(components=[2, 301])


def test_settings_are_checked_without_memory_for_the_state() -> None:
    with torch.device("meta"):
        model = make((1, 28, 28), components=[500])
    assert all(buffer.is_meta for buffer in model.buffers())


def test_it_claims_the_capabilities_that_it_has_and_no_others() -> None:
    model = make()
    for capability in (ClosedForm, HasLogProb, CanSample, CanEncode):
        assert isinstance(model, capability)
    for capability in (HasLogWeights, CanDecode, CanComplete, CanPredict):
        assert not isinstance(model, capability)
