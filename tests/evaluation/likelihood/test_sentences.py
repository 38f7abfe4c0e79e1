"""Nats per token and perplexity: known answers, and a standard error that holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dgmbench.evaluation.likelihood.sentences import nats_per_token


def test_by_hand() -> None:
    # 6 nats over 4 tokens; what is left are 2 - 1.5 * 1 and 4 - 1.5 * 3, over a mean length of 2.
    found = nats_per_token(torch.tensor([-2.0, -4.0]), torch.tensor([1, 3]))
    assert found.value == 1.5
    torch.testing.assert_close(found.influence, torch.tensor([1.75, 1.25], dtype=torch.float64))
    assert found.std_error == pytest.approx(0.25)
    perplexity = found.exp()
    assert perplexity.value == pytest.approx(math.exp(1.5))
    assert perplexity.std_error == pytest.approx(math.exp(1.5) * 0.25)


def test_the_uniform_model_has_the_vocabulary_as_perplexity_and_no_error() -> None:
    lengths = torch.randint(1, 20, (50,), generator=torch.Generator().manual_seed(0))
    perplexity = nats_per_token(-lengths.double() * math.log(7999), lengths).exp()
    assert perplexity.value == pytest.approx(7999)
    assert perplexity.std_error == pytest.approx(0, abs=1e-8)


def test_one_sentence_has_no_error() -> None:
    assert nats_per_token(torch.tensor([-3.0]), torch.tensor([2])).std_error is None


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 20)), min_size=2, max_size=30))
def test_the_influence_has_the_ratio_as_mean(sentences: list[tuple[float, int]]) -> None:
    nats, lengths = zip(*sentences, strict=True)
    found = nats_per_token(-torch.tensor(nats, dtype=torch.float64), torch.tensor(lengths))
    assert found.value == pytest.approx(sum(nats) / sum(lengths))
    assert float(found.influence.mean()) == pytest.approx(found.value)
    assert float(found.exp().influence.mean()) == pytest.approx(found.exp().value)


def test_the_standard_error_is_the_spread_over_test_sets() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    values, errors = [], []
    for _ in range(400):
        lengths = rng.integers(1, 15, 300)
        nats = rng.gamma(4.0 * lengths, 1.0)  # 4 nats a token
        found = nats_per_token(-torch.from_numpy(nats), torch.from_numpy(lengths)).exp()
        values.append(found.value)
        errors.append(found.std_error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)
    assert np.mean(values) == pytest.approx(math.exp(4.0), rel=0.01)
