"""Memorisation of a run in both views and spaces: the rows it yields and the pairs it leaves for pictures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dgmbench.data.dataset import Dataset, load_dataset
from dgmbench.data.prepare import prepare
from dgmbench.data.schema import image_schema
from dgmbench.data.views import view_of
from dgmbench.evaluation.copies.memorisation import memorisation, memorisation_domain
from dgmbench.evaluation.copies.neighbour_search import nearest, nearest_under_shifts
from dgmbench.evaluation.copies.neighbours import nn_distance_ratio
from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.evaluation.subject import Subject
from dgmbench.results import Record
from dgmbench.settings import EvaluationSettings

PIXELS = ["nn_distance_ratio", "auth_pct", "auth_pct_heldout", "c_t", "nn_distance_ratio_shifts"]
DOMAIN = ["nn_distance_ratio_domain", "auth_pct_domain", "auth_pct_heldout_domain", "c_t_domain"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("data")
    prepare("digits", root / "digits", seed=0)
    return load_dataset("digits", root)


def subject_of(data: Dataset, samples: np.ndarray, view: str = "gray", **settings: Any) -> Subject:
    """A run whose samples are given; its classifier is untrained, but maps equal images to equal features."""
    info = {"dataset": "digits", "view": view, "model": "m", "seed": 2, "n_samples": len(samples)}
    model = SimpleNamespace(view=view_of(view, image_schema((1, 8, 8), 17)))  # type: ignore[arg-type]
    run: Any = SimpleNamespace(model=model, info=info, samples=lambda: samples)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = DomainClassifier((1, 8, 8), 10).eval()
    limits = {"neighbour_samples": 200, "copy_cells": 4, "store": None} | settings
    return Subject(data, EvaluationSettings(**limits), 0, torch.device("cpu"), classifier, run=run)


def measured(subject: Subject, folder: Path) -> dict[str, Record]:
    return {
        row.metric: row for metric in (memorisation, memorisation_domain) for row in metric(subject, folder)
    }


@pytest.mark.parametrize("view", ["gray", "binary"])
def test_copies_are_found_in_both_spaces(digits: Dataset, tmp_path: Path, view: str) -> None:
    train = subject_of(digits, digits.images("test"), view).raw("train")
    rows = measured(subject_of(digits, train[:200].numpy(), view), tmp_path)
    assert list(rows) == PIXELS + DOMAIN
    for suffix in ("", "_domain"):
        assert rows[f"nn_distance_ratio{suffix}"].value == 0.0
        assert rows[f"auth_pct{suffix}"].value == 0.0 and rows[f"auth_pct{suffix}"].n == 200
        assert rows[f"c_t{suffix}"].value < -3
    assert rows["nn_distance_ratio_shifts"].value == 0.0
    assert {row.kind for row in rows.values()} == {"heuristic"}


def test_the_test_images_themselves_are_the_ideal_sample(digits: Dataset, tmp_path: Path) -> None:
    rows = measured(subject_of(digits, digits.images("test"), neighbour_samples=300), tmp_path)
    for suffix in ("", "_domain"):
        assert rows[f"nn_distance_ratio{suffix}"].value == 1.0 and rows[f"c_t{suffix}"].value == 0.0
        assert rows[f"auth_pct{suffix}"].value == rows[f"auth_pct_heldout{suffix}"].value
        assert rows[f"c_t{suffix}"].std_error > 0 and rows[f"nn_distance_ratio{suffix}"].std_error > 0


def test_rows_are_those_of_intensities(digits: Dataset, tmp_path: Path) -> None:
    """Bytes are searched; the report is in values from 0 to 1."""
    valid = digits.images("valid")
    subject = subject_of(digits, valid)
    rows = measured(subject, tmp_path)
    images = subject.sample_pixels(200), subject.held_out_pixels(200), subject.pixels("train")
    report = nn_distance_ratio(*images)
    assert rows["nn_distance_ratio"].value == pytest.approx(report.ratio, rel=1e-6)
    content = np.load(tmp_path / "neighbours-2.npz")
    np.testing.assert_allclose(content["generated_distances"], report.generated_distances, rtol=1e-5)
    inside = np.load(tmp_path / "neighbours-domain-2.npz")
    features = subject.sample_features(200), subject.domain_features("train")
    np.testing.assert_allclose(inside["generated_distances"], nearest(*features)[0], rtol=1e-6)


def test_a_copy_among_the_last_samples_is_found_too(digits: Dataset, tmp_path: Path) -> None:
    """Pairs are searched for among all samples that are scored, however many."""
    samples = np.concatenate([np.tile(digits.images("valid"), (4, 1, 1, 1)), digits.images("train")[7:8]])
    measured(subject_of(digits, samples, neighbour_samples=len(samples)), tmp_path)
    with np.load(tmp_path / "neighbours-2.npz") as content:
        assert content["shifted_distances"][0] == 0
        np.testing.assert_array_equal(content["samples"][0], digits.images("train")[7])


def test_the_closest_pairs_are_kept_in_order(digits: Dataset, tmp_path: Path) -> None:
    train = torch.from_numpy(digits.images("train"))
    moved = torch.zeros_like(train[:1])
    moved[..., 1:] = train[5:6, ..., :-1]
    samples = torch.cat([torch.from_numpy(digits.images("valid")[:50]), train[9:10], moved])
    measured(subject_of(digits, samples.numpy()), tmp_path)
    content = {
        name: torch.from_numpy(array) for name, array in np.load(tmp_path / "neighbours-2.npz").items()
    }
    assert len(content["samples"]) == 16
    assert content["shifted_distances"][:2].tolist() == [0, 0]
    # Both at no distance, in whichever order.
    plain = int(content["distances"][1] == 0)
    places = [plain, 1 - plain]
    assert_equal(content["samples"][places], samples[[50, 51]])
    assert_equal(content["shifted"][places], train[[9, 5]])
    assert_equal(content["neighbours"][[plain]], train[9:10])
    assert content["distances"][plain] == 0 and content["distances"][1 - plain] > 0.5
    assert (content["shifted_distances"].diff() >= 0).all()
    distances, index, _ = nearest_under_shifts(content["samples"], train)
    assert_equal(content["shifted"], train[index])
    np.testing.assert_allclose(content["shifted_distances"], distances / 16, rtol=1e-6)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert torch.equal(found, expected)


def test_too_few_samples_for_c_t_cost_no_other_row(digits: Dataset, tmp_path: Path) -> None:
    subject = subject_of(digits, digits.images("valid")[:20])
    rows = measured(subject, tmp_path)
    assert list(rows) == [metric for metric in PIXELS + DOMAIN if not metric.startswith("c_t")]
    told = [each.reason for each in subject.left_out if each.metric == "c_t"]
    assert "no cell with held-out images has more than 20" in told[0]


def test_without_labels_there_is_no_feature_space(digits: Dataset) -> None:
    model, schema = SimpleNamespace(sample=print), image_schema((1, 8, 8), 17)
    assert memorisation.applies_to(schema, "gray", model)
    assert not memorisation_domain.applies_to(schema, "gray", model)
    assert memorisation_domain.applies_to(digits.schema, "gray", model)


def test_rows_do_not_depend_on_the_order_of_samples(digits: Dataset, tmp_path: Path) -> None:
    valid = digits.images("valid")
    forward, backward = (
        {m: (row.value, row.std_error) for m, row in measured(subject_of(digits, images), tmp_path).items()}
        for images in (valid[:200], valid[:200][::-1])
    )
    assert forward == backward


def test_the_same_seeds_give_the_same_rows(digits: Dataset, tmp_path: Path) -> None:
    first, again = (
        {
            m: (row.value, row.std_error)
            for m, row in measured(subject_of(digits, digits.images("valid")), tmp_path).items()
        }
        for _ in range(2)
    )
    assert first == again
