"""Quality metrics of a run: which records there are, in which spaces, and that features are shared."""

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
from dgmbench.errors import DataError
from dgmbench.evaluation.copies import memorisation
from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.evaluation.features.feature_spaces import DomainSpace
from dgmbench.evaluation.quality.frechet import fid
from dgmbench.evaluation.quality.in_features import (
    diversity,
    domain_fid,
    domain_fidelity,
    domain_kid,
    inception_fid,
    inception_fidelity,
    inception_kid,
)
from dgmbench.evaluation.quality.scores import (
    Floor,
    fid_scores,
    fidelity_scores,
    kernel_scores,
    wanted_inception,
)
from dgmbench.evaluation.registry import all_measures
from dgmbench.evaluation.subject import Subject
from dgmbench.evaluation.subsets import shuffled, training_rows
from dgmbench.results import Record
from dgmbench.settings import EvaluationSettings, InceptionSettings

GENERATOR = torch.Generator().manual_seed(5)
SHARED = {"precision", "recall", "density", "coverage"}


class Pixels:
    """A space of six pixels, under the name of Inception."""

    name, width, identity = "inception", 6, "six pixels"

    def features(self, images: Tensor) -> Tensor:
        return images[:, 0, 2:4, 2:5].flatten(1).contiguous()


def in_space(subject: Subject, folder: Path, space: str = "domain") -> list[Record]:
    measures = {
        "domain": (domain_fid, domain_kid, domain_fidelity),
        "inception": (inception_fid, inception_kid, inception_fidelity),
    }
    return [record for each in measures[space] for record in each(subject, folder)]


def load_digits(tmp_path: Path) -> Dataset:
    if not (tmp_path / "data").exists():
        prepare("digits", tmp_path / "data" / "digits", seed=0)
    return load_dataset("digits", tmp_path / "data")


def subject_of(tmp_path: Path, samples: Tensor | None = None, **settings: Any) -> Subject:
    data = load_digits(tmp_path)
    if samples is None:
        samples = torch.from_numpy(data.images("valid").copy())
    model: Any = SimpleNamespace(view=view_of("gray", image_schema((1, 8, 8), 17), continuous=False))
    info = {"dataset": "digits", "view": "gray", "model": "m", "seed": 1, "n_samples": len(samples)}
    run: Any = SimpleNamespace(
        model=model, info=info, samples=lambda: samples.numpy(), conditions=lambda: None
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = DomainClassifier((1, 8, 8), 10).eval()
    chosen = EvaluationSettings(store=str(tmp_path / "features"), **settings)
    return Subject(data, chosen, 0, torch.device("cpu"), classifier, inception=Pixels(), run=run)


def by_metric(records: list[Record]) -> dict[str, Record]:
    assert len({record.metric for record in records}) == len(records)
    return {record.metric: record for record in records}


def test_held_out_data_are_near_the_floor_and_noise_is_not(tmp_path: Path) -> None:
    subject = subject_of(tmp_path)
    ideal = by_metric(in_space(subject, tmp_path))
    noise = torch.randint(0, 17, (300, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    awful = by_metric(in_space(subject_of(tmp_path, noise), tmp_path))
    expected = {"fid_domain", "fid_domain_floor", "fid_domain_infinity", "kid_domain"}
    floors = {f"{name}_floor" for name in SHARED | {"kid_domain"}}
    assert set(ideal) == expected | SHARED | floors | {"n_generated_domain", "n_real_domain"}
    # Training images are an ideal sample, whatever the model.
    for name in SHARED:
        assert awful[f"{name}_floor"].value == ideal[f"{name}_floor"].value > 0.8
        assert ideal[f"{name}_floor"].n == 300
    assert abs(ideal["kid_domain_floor"].value) < 0.2 * awful["kid_domain"].value
    assert ideal["fid_domain"].value == pytest.approx(ideal["fid_domain_floor"].value, rel=0.5)
    assert ideal["fid_domain_infinity"].value < ideal["fid_domain"].value
    assert awful["fid_domain"].value > 5 * ideal["fid_domain"].value
    assert awful["kid_domain"].value > 5 * abs(ideal["kid_domain"].value)
    for name in SHARED - {"recall"}:
        assert awful[name].value < 0.5 < ideal[name].value
    assert ideal["n_generated_domain"].value == 300 == ideal["n_real_domain"].value
    assert ideal["fid_domain"].std_error is not None and ideal["precision"].n == 300


def test_the_distance_is_that_of_the_samples_to_the_test_images(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, fid_samples=200)
    records = by_metric(in_space(subject, tmp_path))
    assert subject.domain is not None
    sets = subject.sample_pixels(200), subject.pixels("test")
    expected = fid(*(subject.domain.features(images) for images in sets))
    assert records["fid_domain"].value == pytest.approx(expected, rel=1e-10)
    assert records["fid_domain"].n == 200 == records["fid_domain_floor"].n
    assert "fid_domain_infinity" not in records  # 200 images are too few for a line in 64 features
    assert records["density"].n == 200


def test_the_inception_space_has_rows_and_sizes_of_its_own(tmp_path: Path) -> None:
    subject = subject_of(tmp_path, inception={"samples": 120, "resamples": 3}, prdc_neighbours=3)
    records = by_metric(in_space(subject, tmp_path, "inception"))
    assert {f"{name}_inception" for name in SHARED} < set(records)
    assert records["fid_inception"].n == 120 == records["n_real_inception"].value
    with np.load(tmp_path / "fid-inception-1.npz") as arrays:
        assert arrays["n"][-1] == 120 and len(arrays["fid"]) == len(arrays["n"]) == len(arrays["floor"])
        assert float(arrays["infinity"]) == records["fid_inception_infinity"].value


def test_features_are_computed_once_for_all_who_need_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = in_space(subject_of(tmp_path), tmp_path)
    kept = sorted((tmp_path / "features").rglob("*.value"))
    assert len(kept) == 4  # features of generated, test and training images, and the floor
    embedded: list[int] = []
    monkeypatch.setattr(DomainSpace, "features", lambda _, images: embedded.append(len(images)))
    again = in_space(subject_of(tmp_path), tmp_path)
    assert sorted((tmp_path / "features").rglob("*.value")) == kept and embedded == []
    assert [(r.metric, r.value, r.std_error) for r in again] == [
        (r.metric, r.value, r.std_error) for r in first
    ]


def test_quality_and_memorisation_share_the_features_of_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = subject_of(tmp_path, fid_samples=250, neighbour_samples=200)
    embedded: list[int] = []
    features = DomainSpace.features
    monkeypatch.setattr(DomainSpace, "features", lambda s, x: (embedded.append(len(x)), features(s, x))[1])
    rows = by_metric([*in_space(subject, tmp_path), *memorisation.memorisation_domain(subject, tmp_path)])
    sizes = subject.data.size("test"), subject.data.size("train")
    assert sorted(embedded) == sorted([250, *sizes])
    assert rows["fid_domain"].n == 250 and rows["auth_pct_domain"].n == 200


def test_what_concerns_real_images_alone_is_found_once_for_all_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"floors": 0, "cells": 0}

    class Counted(memorisation.Cells):
        def __init__(self, *arguments: Any) -> None:
            found["cells"] += 1
            super().__init__(*arguments)

    def floor(*arguments: Any) -> Floor:
        found["floors"] += 1
        return original(*arguments)

    original = Floor.of
    monkeypatch.setattr(Floor, "of", floor)
    monkeypatch.setattr(memorisation, "Cells", Counted)
    rows = []
    for samples in (None, torch.full((300, 1, 8, 8), 3, dtype=torch.uint8), None):
        subject = subject_of(tmp_path, samples, copy_cells=3)
        all_of_it = [*in_space(subject, tmp_path), *memorisation.memorisation_domain(subject, tmp_path)]
        rows.append({(record.metric, record.value, record.std_error) for record in all_of_it})
    assert found == {"floors": 1, "cells": 1}
    assert rows[0] == rows[2] != rows[1]


def test_no_score_depends_on_the_order_of_samples(tmp_path: Path) -> None:
    """Bounds below the number of images, so that all have to choose."""
    bounds: dict[str, Any] = {"fid_samples": 200, "neighbour_samples": 100, "diversity_samples": 90}
    bounds |= {"kid_samples": 150, "prdc_samples": 120, "copy_cells": 2}
    images = torch.from_numpy(load_digits(tmp_path).images("valid").copy())
    found = []
    for samples in (images, images.flip(0), images[torch.randperm(300, generator=GENERATOR)]):
        subject = subject_of(tmp_path, samples, inception={"samples": 110, "resamples": 3}, **bounds)
        records = [r for each in all_measures() if each.samples for r in each(subject, tmp_path)]
        found.append({r.metric: (r.value, r.std_error) for r in records})
    wanted = {"fid_domain", "fid_inception", "c_t", "nn_distance_ratio_shifts", "pairwise_distance_ratio"}
    assert wanted | {"class_coverage", "class_histogram_distance", "auth_pct_domain"} < set(found[0])
    assert found[0] == found[1] == found[2]


def test_the_first_of_repeated_images_are_a_sample_too() -> None:
    """Copies of one image share a hash but for their count; side by side they would be no sample."""
    images = torch.arange(100, dtype=torch.uint8).repeat_interleave(50)[:, None]
    first = shuffled(images)[:500]
    # Of 100 equally frequent images, 500 draws hold all but 0.6 in the mean.
    assert len(first.unique()) > 95 and int(torch.bincount(first.flatten()).max()) < 20
    other = images[torch.randperm(5000, generator=GENERATOR)]
    assert torch.equal(shuffled(other), shuffled(images)) and not torch.equal(shuffled(images), images)
    assert torch.equal(shuffled(images).sort(0).values, images)


def test_rounding_of_features_changes_scores_by_rounding_alone(tmp_path: Path) -> None:
    """So that a batch size does: rows are chosen by their place, not by values that rounding moves."""
    generator = torch.Generator().manual_seed(3)
    # Many near ties in the first columns.
    generated = torch.randn(2000, 64, generator=generator).mul(50).round().div(50)
    real = torch.randn(1500, 64, generator=generator).mul(50).round().div(50)
    settings = EvaluationSettings(kid_samples=700, prdc_samples=600)
    found = []
    for scale in (0.0, 2e-6):
        noisy = [x + scale * torch.randn(x.shape, generator=generator) for x in (generated, real)]
        floor = Floor.of("domain", noisy[1][:700], noisy[1][700:], settings)
        scores = [
            score
            for of in (fid_scores, kernel_scores, fidelity_scores)
            for score in of("domain", *noisy, floor, settings)
        ]
        found.append({score.metric: (score.value, score.std_error or 0) for score in scores})
    assert len(found[0]) == 15
    for metric, values in found[0].items():
        assert found[1][metric] == pytest.approx(values, rel=1e-4, abs=1e-6), metric


def test_held_out_images_are_drawn_and_the_same_for_every_model(tmp_path: Path) -> None:
    subject = subject_of(tmp_path)
    rows = subject.held_out_rows(50)
    assert len(rows) == 50 and rows.tolist() == sorted(set(rows.tolist())) != list(range(50))
    assert torch.equal(subject.held_out(50), subject.raw("test")[rows])
    assert torch.equal(subject_of(tmp_path).held_out_rows(50), rows)
    assert torch.equal(subject.held_out_rows(), torch.arange(300))


def test_a_collapsed_generator_has_no_diversity(tmp_path: Path) -> None:
    (whole,) = diversity(subject_of(tmp_path), tmp_path)
    assert whole.metric == "pairwise_distance_ratio" and whole.value == pytest.approx(1.0, abs=0.05)
    same = torch.full((50, 1, 8, 8), 3, dtype=torch.uint8)
    (none,) = diversity(subject_of(tmp_path, same), tmp_path)
    assert none.value == pytest.approx(0.0, abs=1e-6)


def test_without_labels_or_inception_there_is_no_space(tmp_path: Path) -> None:
    subject = subject_of(tmp_path)
    subject.inception = None
    assert in_space(subject, tmp_path, "inception") == []
    sampler = SimpleNamespace(sample=print)
    assert not domain_fid.applies_to(image_schema((1, 8, 8), 17), "gray", sampler)
    assert domain_fid.applies_to(subject.data.schema, "gray", sampler)


def test_the_floor_has_the_same_images_for_every_model() -> None:
    first = training_rows(100, 10, 0)
    assert torch.equal(first, training_rows(100, 10, 0)) and len(first.unique()) == 10
    assert not torch.equal(first, torch.arange(10))
    assert torch.equal(training_rows(100, 1000, 0), torch.arange(100))


def test_inception_is_off_on_a_cpu_unless_asked_for(tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    assert wanted_inception(InceptionSettings(), cpu) is None
    assert wanted_inception(InceptionSettings(use=False), torch.device("cuda")) is None
    missing = InceptionSettings(use=True, weights=str(tmp_path / "none.pth"))
    with pytest.raises(DataError, match=r"evaluation\.inception\.weights: there is no file"):
        wanted_inception(missing, cpu)


def test_inception_true_is_short_for_use() -> None:
    assert EvaluationSettings.model_validate({"inception": True}).inception.use is True
    assert EvaluationSettings().inception.use is None
