"""A table of images as a density and as a sampler: closed forms, its floor, and where it is a good model."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from finding_checks import check, context, table, trace
from pydantic import ValidationError
from torch.distributions import Normal

from dgmbench.controls.likelihoods.lookup_table import LookupTable, LookupTableSettings
from dgmbench.data.dataset import Dataset
from dgmbench.evaluation.features.classifier import DomainClassifier


def control(**settings: object) -> LookupTable:
    small = {"latent_dims": [40], "sizes": [10, 5000], "fid_samples": 400}
    return LookupTable(LookupTableSettings.model_validate(small | settings))


def test_digits_are_drawn_well_and_scored_badly(digits: Dataset, classifier: DomainClassifier) -> None:
    finding = control(fid_samples=5000).run(context("lookup_table", digits, classifier))
    check(finding)
    assert finding.outcome == "supported"
    values = table(finding)
    narrow, best, ppca = (
        values[name, "log_likelihood"][0] for name in ("table_1197_narrow", "table_1197_best", "ppca")
    )
    assert math.log(0.001) < narrow < best < ppca
    distances = [values[name, "fid_domain"][0] for name in ("table_1197_narrow", "ppca", "table_10_narrow")]
    assert distances[0] < distances[1] / 5 and distances[0] < distances[2] / 5


def test_a_table_of_one_image_is_one_gaussian_and_noise(digits: Dataset) -> None:
    about, one = context("lookup_table", digits), control(sizes=[1], noise_share=0.01, narrow_levels=2.0)
    stored, test = one._stored(about)[:1], about.dequantised("test")
    found = one._table(about, stored, about.dequantised("valid"), test)
    assert found.widths["narrow"] == pytest.approx(2 / 17)
    for width, values in found.values.items():
        gaussian = Normal(stored.double(), found.widths[width]).log_prob(test.double()).flatten(1).sum(1)
        expected = torch.logaddexp(math.log(0.99) + gaussian, torch.tensor(0.01, dtype=torch.float64).log())
        torch.testing.assert_close(values, expected, rtol=1e-9, atol=1e-9)


def test_far_from_every_image_only_the_uniform_part_is_left(digits: Dataset) -> None:
    values = table(control(narrow_levels=0.05, noise_share=0.02).run(context("lookup_table", digits)))
    assert values["table_1197_narrow", "log_likelihood"][0] == pytest.approx(math.log(0.02), abs=1e-9)


def test_stored_pixels_lie_in_the_middle_of_their_levels(digits: Dataset) -> None:
    stored = control()._stored(context("lookup_table", digits))
    back = {image.tobytes() for image in (stored * 17 - 0.5).round().to(torch.uint8).numpy()}
    assert back == {image.tobytes() for image in digits.images("train")}
    assert float((stored * 17 - 0.5).frac().abs().max()) < 1e-4


def test_the_width_with_the_best_validation_likelihood_is_taken(digits: Dataset) -> None:
    about, one = context("lookup_table", digits), control()
    stored, valid = one._stored(about), about.dequantised("valid")
    chosen = one._table(about, stored, valid, valid)
    for width in one.settings.grid:
        other = control(narrow_levels=17 * width)._table(about, stored, valid, valid)
        assert chosen.values["best"].mean() >= other.values["narrow"].mean() - 1e-9


def test_draws_are_stored_images_but_for_the_share_of_noise(digits: Dataset) -> None:
    about, one = context("lookup_table", digits), control(noise_share=0.25)
    stored = one._stored(about)[:7]
    drawn = one._draw(stored, 1e-6, 4000, torch.Generator().manual_seed(0))
    distances = torch.cdist(drawn.flatten(1).double(), stored.flatten(1).double())
    near = distances.min(1).values < 1e-3
    assert abs(float(near.double().mean()) - 0.75) < 4 * math.sqrt(0.75 * 0.25 / 4000)
    counts = torch.bincount(distances[near].argmin(1), minlength=7).double() / int(near.sum())
    np.testing.assert_allclose(counts, np.full(7, 1 / 7), atol=0.03)


def test_not_shown_where_test_images_are_those_of_the_table(made_up: Callable[..., Dataset]) -> None:
    """Ten patterns, of which all images are near copies: there a table is the better density."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(2, 60, size=(10, 1, 4, 4))

    def images(n: int) -> np.ndarray:
        return patterns[rng.integers(10, size=n)] + rng.integers(0, 2, size=(n, 1, 4, 4))

    data = made_up(64, train=images(300), valid=images(100), test=images(100))
    finding = control(latent_dims=[5], log10_bandwidths=(-2.5, 0.0)).run(context("any", data))
    check(finding)
    assert finding.outcome == "contradicted"
    assert finding.sentence.count("nats above") == 2


def test_not_shown_where_the_samples_are_far_from_the_floor(
    digits: Dataset, classifier: DomainClassifier
) -> None:
    """Ten images are too few, however well each is drawn."""
    finding = control(sizes=[10], fid_samples=1000).run(context("lookup_table", digits, classifier))
    assert finding.outcome == "contradicted"


def test_without_a_classifier_likelihood_alone_decides(digits: Dataset) -> None:
    finding = control().run(context("lookup_table", digits))
    check(finding)
    assert finding.outcome == "supported" and "no classifier" in finding.sentence
    assert len(finding.panels) == 1 and not any(row.metric == "fid_domain" for row in finding.records)


def test_the_same_seed_gives_the_same_bytes(digits: Dataset, classifier: DomainClassifier) -> None:
    first, again, other = (
        trace(control(fid_samples=100).run(context("lookup_table", digits, classifier, seed)))
        for seed in (0, 0, 1)
    )
    assert first == again and first != other


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"sizes": []}, {"noise_share": 0}, {"narrow_levels": 0}, {"near": 1}, {"fid_samples": 1}):
        with pytest.raises(ValidationError):
            control(**wrong)
