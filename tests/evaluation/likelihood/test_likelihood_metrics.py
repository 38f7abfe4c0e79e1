"""What likelihood records say: averages over dequantisation, effective sample sizes, and which images."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from dgmbench.data.dataset import Dataset, load_dataset
from dgmbench.data.prepare import prepare
from dgmbench.data.views import view_of
from dgmbench.evaluation.likelihood.annealed import _compared
from dgmbench.evaluation.likelihood.bounds import bounds
from dgmbench.evaluation.likelihood.exact import exact
from dgmbench.evaluation.subject import Subject
from dgmbench.results import Record
from dgmbench.settings import EvaluationSettings


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("data")
    prepare("digits", root / "digits", seed=0)
    return load_dataset("digits", root)


def subject_of(data: Dataset, continuous: bool, data_seed: int = 0, **model: Any) -> Subject:
    info = {"dataset": "digits", "view": "gray", "model": "m", "seed": 2, "weights_sha256": "0"}
    made = SimpleNamespace(view=view_of("gray", data.schema, continuous=continuous), **model)
    run: Any = SimpleNamespace(model=made, info=info | {"settings": {"family": "vae"}})
    settings = EvaluationSettings(importance_samples=[100, 200], importance_points=40, store=None)
    return Subject(data, settings, data_seed, torch.device("cpu"), None, run=run)


def by_unit(records: list[Record]) -> dict[str, Record]:
    return {record.unit: record for record in records}


def test_a_density_of_dequantised_images_is_averaged_over_draws_and_no_exact_value(
    digits: Dataset, tmp_path: Path
) -> None:
    """log p(v) = sum v has the expectation sum (k + 1/2) / L over the noise."""
    subject = subject_of(digits, True, log_prob=lambda x: x.flatten(1).sum(1))
    rows = by_unit(list(exact(subject, tmp_path)))
    images = torch.from_numpy(digits.images("test")).double().flatten(1)
    expected = ((images + 0.5) / 17).sum(1)
    draws = subject.settings.dequantisation_draws
    noise = (64 / 12 / draws / len(images)) ** 0.5 / 17
    assert abs(rows["nats"].value - float(expected.mean())) < 4 * noise
    one = subject.kept["exact"]
    assert float((one - expected).std()) == pytest.approx((64 / 12) ** 0.5 / 17, rel=0.2)
    assert (rows["nats"].kind, rows["bits_per_dim"].kind) == ("estimate", "lower_bound")
    # What the draws differ by is in the error over images, small as it is here.
    error = (float(expected.var()) + draws * noise**2 * len(images) / draws) ** 0.5 / len(images) ** 0.5
    assert rows["nats"].std_error == pytest.approx(error, rel=0.02)


def test_a_discrete_model_is_exact_and_evaluated_once(digits: Dataset, tmp_path: Path) -> None:
    calls: list[int] = []

    def log_prob(x: Tensor) -> Tensor:
        calls.append(len(x))
        return -x.double().flatten(1).sum(1)

    rows = by_unit(list(exact(subject_of(digits, False, log_prob=log_prob), tmp_path)))
    assert sum(calls) == 300
    assert (rows["nats"].kind, rows["bits_per_dim"].kind) == ("exact", "exact")


@pytest.mark.parametrize(("spread", "least", "most"), [(0.0, 200.0, 200.0), (1e4, 1.0, 1.001)])
def test_the_effective_sample_size_is_reported_beside_importance_sampling(
    digits: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spread: float,
    least: float,
    most: float,
) -> None:
    """Equal weights are all effective; where one outweighs the others, one is."""

    def log_weights(x: Tensor, k: int, generator: torch.Generator) -> Tensor:
        return spread * torch.randn(k, len(x), generator=generator)

    monkeypatch.chdir(tmp_path)
    rows = {r.metric: r for r in bounds(subject_of(digits, True, log_weights=log_weights), tmp_path)}
    found = rows["ess_is_200"]
    assert (found.unit, found.kind, found.n) == ("1", "estimate", 40)
    assert least - 1e-6 <= found.value <= most + 1e-6 and "ess_is_100" not in rows


def test_fewer_images_are_drawn_by_the_data_seed_and_compared_with_themselves(digits: Dataset) -> None:
    first, other = (subject_of(digits, False, seed) for seed in (0, 1))
    rows = first.held_out_rows(50)
    assert not torch.equal(rows, torch.arange(50)) and not torch.equal(rows, other.held_out_rows(50))
    assert set(first.held_out_rows(20).tolist()) <= set(rows.tolist())
    assert len(first.held_out_rows(50, "valid")) == 50
    exact_values = torch.arange(300.0, dtype=torch.float64)
    sampled = torch.full((300,), torch.nan, dtype=torch.float64)
    some = first.held_out_rows(20)
    sampled[some] = exact_values[some] - 1
    first.kept |= {"exact": exact_values, "importance": sampled}
    found = {record.metric: record for record in _compared(first, rows, exact_values[rows] - 2)}
    assert (found["ais_error"].value, found["ais_error"].n) == (-2, 50)
    assert (found["ais_gain"].value, found["ais_gain"].n) == (-1, 20)
