"""Noise, k-means, Parzen scores and domain FIDs against closed forms and the library's own functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from finding_checks import context
from torch import Tensor

from dgmbench.controls import instruments as measures
from dgmbench.controls.domain_fids import Fids, domain_fids
from dgmbench.controls.instruments import (
    GridSettings,
    fit_ppca,
    k_means,
    parzen_score,
    replace_by_noise,
    with_uniform,
)
from dgmbench.data.dataset import Dataset
from dgmbench.errors import SettingsError
from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.evaluation.likelihood.parzen import parzen_log_likelihood, select_bandwidth
from dgmbench.evaluation.quality.frechet import fid, fid_errors
from dgmbench.points import Points
from dgmbench.results import Origin
from dgmbench.statistics import normal_quantile
from dgmbench.training.seeding import derive_seed

NORMAL_QUANTILE = normal_quantile(0.975)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clusters(n: int, spread: float) -> tuple[Tensor, Tensor]:
    """n points around each of three centres, and the means of the three groups."""
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = centres[:, None] + spread * torch.randn(3, n, 2, generator=seeded(0))
    return points.flatten(0, 1), points.mean(1)


def test_with_uniform_is_the_log_of_the_mixed_density() -> None:
    log_density = torch.tensor([-2000.0, -1.0, 0.0, 3.0], dtype=torch.float64)
    expected = (0.3 * log_density.exp() + 0.7).log()
    torch.testing.assert_close(with_uniform(log_density, 0.7), expected, rtol=1e-12, atol=0)
    assert float(with_uniform(torch.tensor(900.0), 0.99)) == pytest.approx(900 - math.log(100))


def test_noise_takes_the_place_of_its_share_of_images() -> None:
    samples = torch.full((4000, 1, 2, 2), 5.0)
    mixed = replace_by_noise(samples, 0.9, seeded(0))
    noise = (mixed != 5.0).flatten(1)
    assert torch.equal(noise.any(1), noise.all(1))
    share = float(noise.all(1).double().mean())
    assert abs(share - 0.9) < 4 * math.sqrt(0.9 * 0.1 / 4000)
    values = mixed[noise.all(1)]
    assert float(values.min()) >= 0 and float(values.max()) < 1
    assert abs(float(values.mean()) - 0.5) < 4 * math.sqrt(1 / 12 / values.numel())


# Mini-batch centres are means over their whole history, in which the first, wrong assignments fade slowly.
@pytest.mark.parametrize(("largest_lloyd", "tolerance"), [(measures.LARGEST_LLOYD, 1e-4), (0, 0.5)])
def test_k_means_finds_separate_clusters(
    monkeypatch: pytest.MonkeyPatch, largest_lloyd: int, tolerance: float
) -> None:
    monkeypatch.setattr(measures, "LARGEST_LLOYD", largest_lloyd)
    points, means = clusters(400, 0.1)
    # Mini-batches start from random points, which need not lie in three clusters: the seed is one that does.
    centres = k_means(points, 3, seed=3, iterations=20)
    order = [int((centres - mean).square().sum(1).argmin()) for mean in means]
    assert sorted(order) == [0, 1, 2]
    torch.testing.assert_close(centres[order], means, atol=tolerance, rtol=0)
    assert torch.equal(centres, k_means(points, 3, seed=3, iterations=20))


def test_as_many_centres_as_points_are_the_points() -> None:
    points, _ = clusters(4, 1.0)
    assert torch.equal(k_means(points, 12, 0, 10), points)
    assert torch.equal(k_means(points, 500, 0, 10), points)
    assert len(k_means(points, 11, 0, 10)) == 11


def test_a_parzen_score_is_that_of_the_evaluation_and_a_stream_changes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    samples, valid, test = (torch.rand(n, 6, generator=seeded(n)) for n in (70, 30, 40))
    about = context("any", Dataset("none", None, {}))  # type: ignore[arg-type]
    grid = GridSettings(log10_bandwidths=(-1.5, 0.5), bandwidths=9).grid
    assert grid == pytest.approx([10 ** (-1.5 + i / 4) for i in range(9)])
    found = parzen_score(about, samples, valid, test, grid)
    choice = select_bandwidth(samples, valid, grid)
    assert found.bandwidth == choice.bandwidth and not choice.at_edge
    assert torch.equal(found.values, parzen_log_likelihood(samples, test, choice.bandwidth))
    streamed = parzen_score(about, lambda: iter(samples.split(11)), valid, test, grid)
    assert torch.equal(streamed.values, found.values)
    assert capsys.readouterr().err == ""
    parzen_score(about, samples, valid, test, [0.001, 0.002])
    assert "any: the best bandwidth 0.002 is at the edge of the grid" in capsys.readouterr().err


def test_ppca_s_errors_name_the_setting(digits: Dataset) -> None:
    about = context("any", digits)
    images = about.dequantised("valid")
    assert fit_ppca(about, [3], images, images).latent_dim == 3
    with pytest.raises(SettingsError, match="latent_dims: 64 is not below the image's 64 dimensions"):
        fit_ppca(about, [3, 64], images, images)


def test_fids_are_those_of_the_evaluation(digits: Dataset, classifier: DomainClassifier) -> None:
    about = context("any", digits, classifier)
    train, noise = about.raw("train"), torch.randint(17, (500, 1, 8, 8), generator=seeded(0)).byte()
    found = domain_fids(about, {"train": train, "noise": noise})
    assert found is not None and {k: r.n for k, r in found.found.items()} == {"train": 1197, "noise": 500}
    real = classifier.features(about.pixels("test"))
    for name, images in (("train", train), ("noise", noise)):
        own = classifier.features(images.float() / 16)
        assert found.values[name] == pytest.approx(fid(own, real))
        rng = np.random.default_rng(derive_seed("fid", 0))
        expected = fid_errors(own, real, 40, rng).std_error
        assert found.interval(name).half == pytest.approx(NORMAL_QUANTILE * expected)
    errors = {row.model.split("/")[-1]: row.std_error for row in found.records()}
    assert errors["noise"] == pytest.approx(expected)
    assert {row.metric for row in found.records()} == {"fid_domain"}
    assert domain_fids(context("any", digits), {"train": train}) is None


def test_a_contrast_cancels_what_sets_share(digits: Dataset, classifier: DomainClassifier) -> None:
    about = context("any", digits, classifier)
    sets = {"a": about.raw("train"), "b": about.raw("train")}
    fixed, drawn = domain_fids(about, sets, fixed=["a", "b"]), domain_fids(about, sets)
    assert fixed is not None and drawn is not None
    # The same images against the same test images.
    assert fixed.contrast({"a": 1.0, "b": -1.0}).half == pytest.approx(0.0, abs=1e-9)
    assert drawn.contrast({"a": 1.0, "b": -1.0}).half > 0
    assert 0 < fixed.interval("a").half < drawn.interval("a").half


def test_a_contrast_is_the_weighted_sum() -> None:
    """Its variance over the shared images is that of the sum; over sets' own images variances add."""
    a, b = np.array([1.0, 3.0, 5.0]), np.array([2.0, 8.0, 2.0])
    origin = Origin("digits", "gray", "control/any/set", 0, "cpu")
    found = {
        name: origin.record("fid_domain", value, error, n=9, unit="1", kind="estimate")
        for name, value, error in (("a", 3.0, 2.0), ("b", 5.0, 3.0), ("c", 1.0, 9.0))
    }
    fids = Fids(found, {"a": Points.of(a), "b": Points.of(b), "c": Points.of(b)}, fixed=["c"])
    contrast = fids.contrast({"a": 2.0, "b": -1.0, "c": 1.0})
    assert contrast.mean == 2.0
    own = 4 * (4.0 - a.var(ddof=1) / 3) + (9.0 - b.var(ddof=1) / 3)
    assert contrast.half == pytest.approx(NORMAL_QUANTILE * ((2 * a).var(ddof=1) / 3 + own) ** 0.5)
