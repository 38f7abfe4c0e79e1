"""k-means centres against training images: what Parzen says of them, where they are the same, and a flip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from finding_checks import check, context, table, trace
from pydantic import ValidationError

from dgmbench.controls.likelihoods.parzen_kmeans import ParzenKMeans, ParzenKMeansSettings
from dgmbench.data.dataset import Dataset
from dgmbench.evaluation.likelihood.parzen import parzen_log_likelihood

SIZES = {"train": 600, "valid": 200, "test": 200}


def control(**settings: object) -> ParzenKMeans:
    return ParzenKMeans(ParzenKMeansSettings.model_validate({"repetitions": 2, "iterations": 20} | settings))


def test_centres_win_on_digits_and_coincide_at_all_images(digits: Dataset) -> None:
    finding = control(sizes=[100, 5000]).run(context("parzen_kmeans", digits))
    check(finding)
    assert finding.outcome == "supported"
    values = table(finding)
    ours, theirs = (np.array(values[name, "log_likelihood_parzen"]) for name in ("kmeans_100", "train_100"))
    assert (ours - theirs > 5).all()
    same = [values[f"{kind}_1197", "log_likelihood_parzen"] for kind in ("kmeans", "train")]
    np.testing.assert_allclose(*same, rtol=1e-10)
    assert "+0.0 ± 0.0 at all 1,197" in finding.sentence


def test_the_score_of_all_training_images_is_the_evaluation_s(digits: Dataset) -> None:
    about = context("parzen_kmeans", digits)
    values = table(control(sizes=[5000]).run(about))
    (bandwidth, _), (score, _) = (
        values["train_1197", metric] for metric in ("parzen_bandwidth", "log_likelihood_parzen")
    )
    expected = parzen_log_likelihood(about.dequantised("train"), about.dequantised("test"), bandwidth)
    assert score == pytest.approx(float(expected.mean()), rel=1e-10)


def test_all_images_alone_decide_nothing(digits: Dataset) -> None:
    assert control(sizes=[5000]).run(context("parzen_kmeans", digits)).outcome == "undecided"


def test_not_shown_where_centres_lie_in_the_wrong_places(made_up: Callable[..., Dataset]) -> None:
    """A tenth of the training images lies scattered where no test image does, and takes most centres."""
    rng = np.random.default_rng(0)
    alike = {split: 30 + rng.integers(0, 3, size=(n, 1, 2, 2)) for split, n in SIZES.items()}
    alike["train"][:60] = rng.integers(0, 64, size=(60, 1, 2, 2))
    data = made_up(64, **alike)
    finding = control(sizes=[40], repetitions=4, log10_bandwidths=(-2.5, 0.0)).run(context("any", data))
    check(finding)
    assert finding.outcome == "contradicted"
    assert "in nats: -" in finding.sentence


def test_the_same_seed_gives_the_same_bytes(digits: Dataset) -> None:
    first, again = (control(sizes=[50]).run(context("parzen_kmeans", digits)) for _ in range(2))
    assert trace(first) == trace(again)
    other = control(sizes=[50]).run(context("parzen_kmeans", digits, seed=7))
    assert trace(other) != trace(first)


def test_the_sheets_show_centres_beside_images(digits: Dataset) -> None:
    centres, images = control(sizes=[50]).run(context("parzen_kmeans", digits)).sheets
    raw = {image.tobytes() for image in digits.images("train")}
    assert all(image.tobytes() in raw for image in images.images)
    assert not any(image.tobytes() in raw for image in centres.images)
    assert torch.tensor(centres.images.shape).tolist() == [36, 1, 8, 8]


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"sizes": []}, {"sizes": [0]}, {"repetitions": 1}, {"test_points": 1}, {"size": [3]}):
        with pytest.raises(ValidationError):
            control(**wrong)
