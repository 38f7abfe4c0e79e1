from __future__ import annotations

import itertools
import math

import pytest
import torch

from dgmbench.data.batch import Batch
from dgmbench.data.pixels import bits_per_dim
from dgmbench.data.schema import image_schema
from dgmbench.models.baselines.uniform import Uniform, UniformSettings
from dgmbench.models.capabilities import HasLogProb
from dgmbench.models.hooks import ClosedForm


def make(view: str, shape: tuple[int, int, int], levels: int) -> Uniform:
    return Uniform(
        UniformSettings.model_validate({"family": "uniform", "view": view}), image_schema(shape, levels)
    )


def test_probabilities_of_all_binary_images_sum_to_one() -> None:
    model = make("binary", (1, 2, 3), 17)
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6))).reshape(-1, 1, 2, 3)
    assert math.isclose(float(model.log_prob(x).exp().sum()), 1.0, rel_tol=1e-12)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_gray_images_cost_log2_of_the_levels_in_bits_per_dim(levels: int) -> None:
    model = make("gray", (1, 3, 3), levels)
    nats = float(model.log_prob(torch.rand(1, 1, 3, 3, generator=torch.Generator().manual_seed(0))))
    assert nats == 0.0
    assert math.isclose(bits_per_dim(nats, 9, levels), math.log2(levels))


def test_gray_images_outside_the_unit_cube_have_no_density() -> None:
    x = torch.tensor([[0.2, 0.9], [0.2, 1.1], [-0.1, 0.5], [0.0, 1.0]]).reshape(-1, 1, 1, 2)
    assert make("gray", (1, 1, 2), 256).log_prob(x).tolist() == [0.0, -math.inf, -math.inf, 0.0]


@pytest.mark.parametrize(("view", "variance"), [("binary", 1 / 4), ("gray", 1 / 12)])
def test_samples_are_uniform_in_the_domain(view: str, variance: float) -> None:
    draws = make(view, (1, 2, 2), 17).sample(50_000, torch.Generator().manual_seed(0))
    assert draws.shape == (50_000, 1, 2, 2)
    if view == "binary":
        assert set(draws.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(draws.mean(0), torch.full((1, 2, 2), 0.5), atol=0.01, rtol=0)
    covariance = draws.flatten(1).T.cov()
    torch.testing.assert_close(covariance, variance * torch.eye(4), atol=0.005, rtol=0)


def test_there_is_nothing_to_learn() -> None:
    model = make("binary", (1, 2, 2), 17)
    assert isinstance(model, ClosedForm) and isinstance(model, HasLogProb)
    losses = model.fit(Batch(torch.zeros(3, 1, 2, 2)), Batch(torch.ones(2, 1, 2, 2)), torch.Generator())
    assert losses == {"loss": pytest.approx(4 * math.log(2))}
    assert model.parameter_count() == 0 and not model.state_dict()
    gray = make("gray", (1, 2, 2), 17).fit(
        Batch(torch.rand(3, 1, 2, 2)), Batch(torch.rand(2, 1, 2, 2)), torch.Generator()
    )
    assert math.copysign(1.0, gray["loss"]) == 1.0


def test_settings_are_checked_without_memory_for_the_state() -> None:
    with torch.device("meta"):
        model = make("gray", (1, 28, 28), 256)
    assert all(buffer.is_meta for buffer in model.buffers())
