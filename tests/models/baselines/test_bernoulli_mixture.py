from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.pixels import binarise
from dgmbench.data.prepare import load_splits
from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.baselines import bernoulli_mixture
from dgmbench.models.baselines.bernoulli_mixture import (
    BernoulliMixture,
    BernoulliMixtureSettings,
    Mixture,
    Prior,
    Statistics,
    assign,
    expect,
    marginal,
    maximise,
    run_em,
    spread_seeds,
)
from dgmbench.models.baselines.independent import Independent, IndependentSettings
from dgmbench.models.capabilities import (
    CanComplete,
    CanDecode,
    CanEncode,
    CanPredict,
    CanSample,
    ClosedForm,
    HasLogProb,
    HasLogWeights,
)

SHAPE = (1, 2, 3)
TRUTH = torch.tensor([[0.95, 0.9, 0.9, 0.1, 0.05, 0.5], [0.1, 0.05, 0.2, 0.9, 0.9, 0.5]], dtype=torch.float64)


def make(shape: tuple[int, int, int] = SHAPE, **choices: Any) -> BernoulliMixture:
    block = {"family": "bernoulli_mixture", "view": "binary", "components": [2]} | choices
    return BernoulliMixture(BernoulliMixtureSettings.model_validate(block), image_schema(shape, 2))


def images(n: int, seed: int = 0) -> Tensor:
    """Binary images ``[n, 1, 2, 3]``: 30 % of `TRUTH`'s first component, 70 % of its second."""
    generator = torch.Generator().manual_seed(seed)
    which = (torch.rand(n, generator=generator) < 0.7).long()
    return (torch.rand((n, 6), generator=generator) < TRUTH[which]).float().reshape(n, *SHAPE)


def flat(n: int, seed: int = 0) -> Tensor:
    return images(n, seed).flatten(1).to(torch.uint8)


def fitted(n: int = 300, **choices: Any) -> tuple[BernoulliMixture, dict[str, float]]:
    model = make(**choices)
    return model, model.fit(Batch(images(n)), Batch(images(200, 1)), torch.Generator().manual_seed(3))


def random_mixture(k: int, seed: int = 0) -> Mixture:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(k, generator=generator, dtype=torch.float64) + 0.1
    logits = 2 * torch.randn((k, 6), generator=generator, dtype=torch.float64)
    return Mixture((weights / weights.sum()).log(), logits)


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


@settings(max_examples=40, deadline=None)
@given(k=st.integers(1, 8), seed=st.integers(0, 10**6), strength=st.sampled_from([1e-9, 0.01, 1.0, 30.0]))
def test_every_step_raises_the_likelihood_times_the_prior(k: int, seed: int, strength: float) -> None:
    x = flat(40, seed)
    prior = Prior(strength, marginal(x))
    _, history = run_em(x, random_mixture(k, seed), prior, 25, tolerance=-math.inf)
    assert len(history) == 25
    assert min(after - before for before, after in itertools.pairwise(history)) > -1e-10
    assert history[-1] - history[0] > 0


def test_em_ends_at_a_stationary_point_of_the_objective() -> None:
    x = flat(200)
    prior = Prior(2.0, marginal(x))
    mixture, _ = run_em(x, random_mixture(3), prior, 2000, tolerance=-math.inf)
    weights, logits = (
        mixture.log_proportions.clone().requires_grad_(),
        mixture.logits.clone().requires_grad_(),
    )
    free = Mixture(torch.log_softmax(weights, 0), logits)
    objective = torch.logsumexp(free.log_joint(x.double()), 1).sum() + prior.log_density(free)
    slopes = torch.autograd.grad(objective, [weights, logits])
    assert max(float(slope.abs().max()) for slope in slopes) < 1e-6


def test_it_stops_at_the_tolerance_and_not_before() -> None:
    x = flat(200)
    _, history = run_em(x, random_mixture(3), Prior(1.0, marginal(x)), 1000, tolerance=1e-4)
    gains = np.diff(history)
    assert gains[-1] < 1e-4 and (gains[:-1] >= 1e-4).all() and 3 < len(history) < 1000


def test_one_component_is_the_marginal_with_the_prior_s_images_counted_in() -> None:
    model, _ = fitted(components=[1], pseudo_counts=[4.0])
    x = images(300).flatten(1).double()
    average = (x.sum(0) + 0.5) / 301
    expected = (x.sum(0) + 4 * average) / 304
    torch.testing.assert_close(torch.sigmoid(model.mixture().logits[0]), expected)


def test_the_components_of_the_truth_are_found() -> None:
    model, _ = fitted(20_000, components=[2], pseudo_counts=[0.1], tolerance=1e-8)
    mixture = model.mixture()
    order = mixture.log_proportions.argsort()
    truth = torch.tensor([0.3, 0.7], dtype=torch.float64)
    torch.testing.assert_close(mixture.log_proportions[order].exp(), truth, atol=0.02, rtol=0)
    torch.testing.assert_close(torch.sigmoid(mixture.logits[order]), TRUTH, atol=0.02, rtol=0)


def test_passes_in_batches_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    x, mixture = flat(100), random_mixture(4)
    whole, hard = expect(x, mixture), assign(x, spread_seeds(x, 4, torch.Generator().manual_seed(0)))
    monkeypatch.setattr(bernoulli_mixture, "BATCH", 7)
    parts, again = expect(x, mixture), assign(x, spread_seeds(x, 4, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(whole[0].on, parts[0].on)
    torch.testing.assert_close(whole[0].images, parts[0].images)
    assert math.isclose(whole[1], parts[1])
    assert torch.equal(hard.on, again.on) and torch.equal(hard.images, again.images)


def test_images_are_assigned_to_the_nearest_centre() -> None:
    x, centres = flat(200), torch.tensor([[0] * 6, [1] * 6, [0, 0, 0, 1, 1, 1]], dtype=torch.uint8)
    nearest = torch.cdist(x.float(), centres.float(), p=0).argmin(1)
    found = assign(x, centres)
    assert found.images.tolist() == torch.bincount(nearest, minlength=3).tolist()
    expected = torch.stack([x[nearest == index].sum(0) for index in range(3)])
    assert torch.equal(found.on, expected.double())


def test_seeds_are_different_images_as_long_as_there_are_any() -> None:
    patterns = torch.eye(6, dtype=torch.uint8).repeat(30, 1)
    for seed in range(20):
        seeds = spread_seeds(patterns, 6, torch.Generator().manual_seed(seed))
        assert len(seeds.unique(dim=0)) == 6
    assert spread_seeds(patterns, 8, torch.Generator().manual_seed(0)).shape == (8, 6)


def test_tiny_probabilities_are_not_rounded_away() -> None:
    x = torch.ones(1000, 3, dtype=torch.uint8)
    mixture = maximise(
        Statistics(torch.tensor([1000.0]).double(), x.sum(0, keepdim=True).double()),
        Prior(1e-12, marginal(x)),
    )
    off = torch.exp(torch.nn.functional.logsigmoid(-mixture.logits))
    assert bool(torch.isfinite(mixture.logits).all()) and 0 < float(off.max()) < 1e-15


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
