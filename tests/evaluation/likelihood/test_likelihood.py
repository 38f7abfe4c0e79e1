"""Likelihood estimates against a linear-Gaussian model, where the marginal and the gap are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from dgmbench.blocks import BlockStore
from dgmbench.errors import CapabilityError
from dgmbench.evaluation.likelihood.estimators import (
    PointEstimates,
    elbo,
    exact_log_likelihood,
    importance_sampled_log_likelihood,
)
from dgmbench.evaluation.likelihood.noise_blocks import NoiseBlock, Weigher

LATENT, WIDTH, NOISE = 2, 5, 0.7


class LinearGaussian:
    """z ~ N(0, I), x|z ~ N(Wz + b, s^2 I), with q(z|x) the posterior moved by `shift` and widened."""

    def __init__(self, shift: float = 0.4, widen: float = 1.5) -> None:
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(WIDTH, LATENT, generator=generator, dtype=torch.float64)
        self.bias = torch.randn(WIDTH, generator=generator, dtype=torch.float64)
        precision = torch.eye(LATENT, dtype=torch.float64) + self.weight.T @ self.weight / NOISE**2
        self.covariance = torch.linalg.inv(precision)
        self.shift, self.widen = shift, widen
        self.calls: list[tuple[int, int]] = []

    def data(self, n: int) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        z = torch.randn(n, LATENT, generator=generator, dtype=torch.float64)
        noise = torch.randn(n, WIDTH, generator=generator, dtype=torch.float64)
        return z @ self.weight.T + self.bias + NOISE * noise

    def posterior(self, x: Tensor) -> MultivariateNormal:
        return MultivariateNormal((x - self.bias) @ self.weight @ self.covariance / NOISE**2, self.covariance)

    def proposal(self, x: Tensor) -> MultivariateNormal:
        return MultivariateNormal(self.posterior(x).loc + self.shift, self.widen * self.covariance)

    def log_prob(self, x: Tensor) -> Tensor:
        covariance = self.weight @ self.weight.T + NOISE**2 * torch.eye(WIDTH, dtype=torch.float64)
        return MultivariateNormal(self.bias, covariance).log_prob(x)

    def log_weights(self, x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        self.calls.append((k, len(x)))
        q = self.proposal(x)
        noise = torch.randn(k, len(x), LATENT, generator=generator, dtype=torch.float64)
        z = q.loc + noise @ q.scale_tril[0].T
        prior = Normal(0.0, 1.0).log_prob(z).sum(2)
        return prior + Normal(z @ self.weight.T + self.bias, NOISE).log_prob(x).sum(2) - q.log_prob(z)

    def single_precision(self, x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        return self.log_weights(x, k, generator).float()


@pytest.fixture
def model() -> LinearGaussian:
    return LinearGaussian()


def test_the_bounds_are_ordered_and_tighten_to_the_truth(model: LinearGaussian) -> None:
    x = model.data(400)
    exact = exact_log_likelihood(model.log_prob, x)
    sampled = importance_sampled_log_likelihood(model.log_weights, x, [10, 1000])
    bound = elbo(model.log_weights, x, n_samples=50)
    assert bound.mean() < sampled[10].mean() < sampled[1000].mean() < exact.mean() + 0.01
    difference = sampled[1000].values - exact.values
    assert abs(float(difference.mean())) < 3 * float(difference.std()) / math.sqrt(len(x)) + 1e-3


def test_the_gap_of_the_elbo_is_the_divergence_to_the_posterior(model: LinearGaussian) -> None:
    x = model.data(400)
    gap = model.log_prob(x) - elbo(model.log_weights, x, n_samples=200).values
    expected = kl_divergence(model.proposal(x), model.posterior(x)).mean()
    assert float(expected) > 0.3
    assert abs(float(gap.mean() - expected)) < 3 * float(gap.std()) / math.sqrt(len(x))


def test_the_true_posterior_leaves_no_gap_and_every_draw_effective() -> None:
    model = LinearGaussian(shift=0.0, widen=1.0)
    x = model.data(40)
    truth = model.log_prob(x)
    assert torch.allclose(elbo(model.log_weights, x).values, truth)
    estimate = importance_sampled_log_likelihood(model.log_weights, x, [7])[7]
    assert torch.allclose(estimate.values, truth)
    assert torch.allclose(estimate.effective_sample_size, torch.full((40,), 7.0, dtype=torch.float64))


def test_average_weight_is_unbiased(model: LinearGaussian) -> None:
    x = model.data(1).expand(4000, -1)
    estimate = importance_sampled_log_likelihood(model.log_weights, x, [5])[5]
    likelihood = estimate.values.exp()
    error = float(likelihood.mean() - model.log_prob(x[:1]).exp())
    assert abs(error) < 4 * float(likelihood.std()) / math.sqrt(len(x))


def test_effective_sample_size_falls_as_the_proposal_worsens() -> None:
    sizes = []
    for shift in (0.0, 0.5, 1.5):
        model = LinearGaussian(shift=shift)
        estimate = importance_sampled_log_likelihood(model.log_weights, model.data(64), [100])[100]
        sizes.append(float(estimate.effective_sample_size.mean()))
    assert 100 > sizes[0] > sizes[1] > sizes[2] >= 1


def test_neither_the_memory_limit_nor_the_batch_size_changes_a_value(model: LinearGaussian) -> None:
    x = model.data(75)
    low = importance_sampled_log_likelihood(model.single_precision, x, [60], seed=3, max_evaluations=3200)
    high = importance_sampled_log_likelihood(model.single_precision, x, [60], seed=3, max_evaluations=10**6)
    assert low[60].values.numpy().tobytes() == high[60].values.numpy().tobytes()
    first, second = (elbo(model.single_precision, x, 2, 3, size).values for size in (3200, 10**6))
    assert first.numpy().tobytes() == second.numpy().tobytes()
    exact = [exact_log_likelihood(model.log_prob, x, size).values for size in (1, 7, 100)]
    assert torch.allclose(exact[0], exact[2], rtol=1e-5) and torch.allclose(exact[1], exact[2], rtol=1e-5)


def test_seeds_decide_the_draws_and_the_global_generator_does_not(model: LinearGaussian) -> None:
    x = model.data(40)
    before = torch.random.get_rng_state()
    first, again, other = (elbo(model.log_weights, x, 2, seed).values for seed in (0, 0, 1))
    assert first.numpy().tobytes() == again.numpy().tobytes()
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_noise_differs_between_blocks_of_points_and_of_draws() -> None:
    seen: list[Tensor] = []

    def record(x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        seen.append(torch.randn(k, len(x), generator=generator))
        return seen[-1]

    importance_sampled_log_likelihood(record, torch.zeros(128, 1), [100])
    assert len(seen) == 4
    assert len({part.numpy().tobytes() for part in seen}) == 4


def test_a_smaller_k_is_the_prefix_and_does_not_depend_on_the_others(model: LinearGaussian) -> None:
    x = model.data(40)
    alone = importance_sampled_log_likelihood(model.log_weights, x, [30])
    together = importance_sampled_log_likelihood(model.log_weights, x, [110, 1, 30, 30])
    assert list(together) == [1, 30, 110]
    assert torch.equal(alone[30].values, together[30].values)


@pytest.mark.parametrize("k", [2, 30])
def test_the_same_draws_order_elbo_and_l_k_for_every_image(model: LinearGaussian, k: int) -> None:
    x = model.data(40)
    bound = elbo(model.log_weights, x, k, seed=5).values
    assert bool(
        (bound < importance_sampled_log_likelihood(model.log_weights, x, [k], seed=5)[k].values).all()
    )


def test_streaming_equals_the_direct_sum() -> None:
    block = NoiseBlock(points=3, draws=4)
    seen: list[Tensor] = []

    def spread(x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        # Hundreds of nats of spread: a sum of plain exponentials would overflow or vanish.
        seen.append(600 * torch.randn(k, len(x), generator=generator, dtype=torch.float64) - 5000)
        return seen[-1]

    sampled = importance_sampled_log_likelihood(spread, torch.zeros(3, 1), [6, 10], noise_block=block)
    draws = torch.cat(seen)
    for k in (6, 10):
        assert torch.allclose(sampled[k].values, torch.logsumexp(draws[:k], 0) - math.log(k), rtol=1e-12)


def sampled_bytes(model: LinearGaussian, x: Tensor, ks: list[int], **options: Any) -> dict[int, bytes]:
    estimates = importance_sampled_log_likelihood(model.single_precision, x, ks, **options)
    return {
        k: torch.stack([found.values, found.effective_sample_size]).numpy().tobytes()
        for k, found in estimates.items()
    }


@pytest.mark.parametrize("calls", [0, 1, 6, 7, 13])
def test_an_interrupted_estimate_resumes_to_the_byte(
    model: LinearGaussian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    x, ks, block = model.data(50), [7, 25, 60], NoiseBlock(points=16, draws=20)
    expected = sampled_bytes(model, x, ks, noise_block=block)
    everything = len(model.calls)
    assert everything == 4 * 3

    def interrupted(x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        if len(model.calls) == calls:
            raise KeyboardInterrupt
        return LinearGaussian.single_precision(model, x, k, generator)

    model.calls.clear()
    with monkeypatch.context() as patch:
        patch.setattr(model, "single_precision", interrupted)
        if calls < everything:
            with pytest.raises(KeyboardInterrupt), BlockStore(tmp_path / "is.pt", "f") as store:
                sampled_bytes(model, x, ks, noise_block=block, resume=store)
        else:
            with BlockStore(tmp_path / "is.pt", "f") as store:
                sampled_bytes(model, x, ks, noise_block=block, resume=store)
    model.calls.clear()
    with BlockStore(tmp_path / "is.pt", "f") as store:
        assert sampled_bytes(model, x, ks, noise_block=block, resume=store) == expected
    # Only whole blocks of points are kept: 3 calls each.
    assert len(model.calls) == everything - 3 * (min(calls, everything) // 3)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"ks": [10]},
        {"noise_block": NoiseBlock(points=16, draws=10)},
        {"noise_block": NoiseBlock(points=10, draws=20)},
        {"x": 49},
    ],
)
def test_blocks_of_another_call_are_not_taken(
    model: LinearGaussian, tmp_path: Path, other: dict[str, Any]
) -> None:
    first: dict[str, Any] = {"seed": 0, "noise_block": NoiseBlock(points=50, draws=20), "ks": [40], "x": 50}
    store = BlockStore(tmp_path / "is.pt", "f")

    def run(x: int, resume: BlockStore | None, **call: Any) -> dict[int, bytes]:
        return sampled_bytes(model, model.data(50)[:x], resume=resume, **call)

    run(resume=store, **first)
    assert run(resume=store, **first | other) == run(resume=None, **first | other)


def test_no_call_is_larger_than_the_limit_and_none_is_a_single_image(model: LinearGaussian) -> None:
    importance_sampled_log_likelihood(model.log_weights, model.data(96), [5000], max_evaluations=3200)
    assert max(k * n for k, n in model.calls) <= 3200
    assert min(n for _, n in model.calls) == 32
    assert sum(k * n for k, n in model.calls) == 96 * 5000


def test_a_limit_below_a_block_is_refused_and_a_smaller_block_obeys_it(model: LinearGaussian) -> None:
    x = model.data(20)
    with pytest.raises(CapabilityError, match="noise_block"):
        importance_sampled_log_likelihood(model.log_weights, x, [50], max_evaluations=100)
    block = NoiseBlock(points=10, draws=10)
    importance_sampled_log_likelihood(model.log_weights, x, [50], max_evaluations=100, noise_block=block)
    assert max(k * n for k, n in model.calls) == 100


@pytest.mark.parametrize("ks", [[], [0], [-3, 5]])
def test_impossible_numbers_of_draws_are_refused(model: LinearGaussian, ks: list[int]) -> None:
    with pytest.raises(CapabilityError):
        importance_sampled_log_likelihood(model.log_weights, model.data(2), ks)
    with pytest.raises(CapabilityError):
        elbo(model.log_weights, model.data(2), 0)


def test_empty_data_nan_and_wrong_shapes_are_refused(model: LinearGaussian) -> None:
    for evaluate in (
        lambda: exact_log_likelihood(model.log_prob, torch.zeros(0, WIDTH)),
        lambda: elbo(model.log_weights, torch.zeros(0, WIDTH)),
        lambda: importance_sampled_log_likelihood(model.log_weights, torch.zeros(0, WIDTH), [1]),
    ):
        with pytest.raises(ValueError, match="no images"):
            evaluate()
    with pytest.raises(ValueError, match="NaN for 2 of 3"):
        exact_log_likelihood(lambda x: torch.tensor([math.nan, 0.0, math.nan]), torch.zeros(3, 1))
    with pytest.raises(ValueError, match="shape"):
        exact_log_likelihood(lambda x: torch.zeros(len(x), 1), torch.zeros(3, 1))


def test_impossible_images_and_dead_weights_give_minus_infinity() -> None:
    def dead(x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        return torch.full((k, len(x)), -math.inf)

    estimate = importance_sampled_log_likelihood(dead, torch.zeros(3, 1), [30])[30]
    assert estimate.mean() == -math.inf and estimate.std_error() is None
    assert torch.equal(estimate.effective_sample_size, torch.zeros(3, dtype=torch.float64))


def test_mean_and_standard_error_are_the_textbook_ones() -> None:
    estimate = PointEstimates(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64))
    assert estimate.mean() == 2.5 and len(estimate) == 4
    assert estimate.std_error() == pytest.approx(math.sqrt(5 / 3) / 2)
    assert PointEstimates(torch.zeros(1)).std_error() is None


def test_progress_goes_to_standard_error_only(
    model: LinearGaussian, capsys: pytest.CaptureFixture[str]
) -> None:
    importance_sampled_log_likelihood(model.log_weights, model.data(2), [50])
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""


class Preparing(LinearGaussian):
    """One that can prepare, and notes the images that it was asked to prepare for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def log_weights_of(self, x: Tensor) -> Callable[[int, torch.Generator], Tensor]:
        self.seen.append(x)
        return lambda k, generator: self.log_weights(x, k, generator)


def test_a_weigher_prepares_once_for_each_block_and_changes_no_value(model: LinearGaussian) -> None:
    preparing, x = Preparing(), model.data(150)
    for ks in ([7], [10, 120]):
        plain = importance_sampled_log_likelihood(model.log_weights, x, ks)
        preparing.seen.clear()
        ours = importance_sampled_log_likelihood(Weigher(preparing), x, ks)
        assert all(torch.equal(ours[k].values, plain[k].values) for k in ks)
        assert torch.equal(torch.cat(preparing.seen), x)
    assert torch.equal(elbo(Weigher(model), x, 3).values, elbo(model.log_weights, x, 3).values)
