"""The ladder of copies on digits: what its ends must give; what shifts, noise and a lost class do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from finding_checks import check, context, table, trace
from pydantic import ValidationError

from dgmbench.controls.control import Finding
from dgmbench.controls.copies.copy_scores import Source, scores
from dgmbench.controls.copies.copy_trials import DROPPED, NOISE, SHIFTED, Trials, case_name
from dgmbench.controls.copies.planted_copies import PlantedCopies, PlantedCopiesSettings
from dgmbench.data.dataset import Dataset
from dgmbench.evaluation.copies.copying import Cells, auth_pct, c_t
from dgmbench.evaluation.copies.neighbours import nn_distance_ratio
from dgmbench.evaluation.copies.ties import all_nearest
from dgmbench.evaluation.features.classifier import DomainClassifier

COPYING = ("nn_distance_ratio", "auth_pct", "c_t")


def control(**settings: object) -> PlantedCopies:
    return PlantedCopies(PlantedCopiesSettings.model_validate({"repetitions": 20} | settings))


@pytest.fixture(scope="module")
def finding(digits: Dataset, classifier: DomainClassifier) -> Finding:
    return control().run(context("planted_copies", digits, classifier))


def mean(finding: Finding, case: str, metric: str) -> float:
    return table(finding)[case, metric][0]


def test_copies_alone_have_the_scores_that_the_definitions_give(finding: Finding) -> None:
    check(finding)
    for suffix in ("", "_domain"):
        assert mean(finding, "copies_1", f"nn_distance_ratio{suffix}") == 0.0
        assert mean(finding, "copies_1", f"auth_pct{suffix}") == 0.0
        assert mean(finding, "copies_1", f"c_t{suffix}") < -5
        for metric in COPYING:
            assert mean(finding, "copies_1", f"flagged_{metric}{suffix}") == 100.0


def test_ideal_samples_score_as_unseen_images_do_and_alarm_by_design(finding: Finding) -> None:
    assert mean(finding, "copies_0", "nn_distance_ratio") == pytest.approx(1.0, abs=0.05)
    assert mean(finding, "copies_0", "c_t") == pytest.approx(0.0, abs=0.3)
    for metric in (*COPYING, "fid_domain"):
        assert mean(finding, "copies_0", f"flagged_{metric}") <= 5.0  # where no scores tie, 5
    assert mean(finding, "copies_0", "flagged_c_t") == 5.0 == mean(finding, "copies_0", "flagged_fid_domain")


def test_every_score_of_copying_falls_along_the_ladder(finding: Finding) -> None:
    """AuthPct in proportion: copies are never authentic, and the others are those of the ideal sample."""
    for metric in COPYING:
        rungs = [mean(finding, f"copies_{share}", metric) for share in ("0", "0.01", "0.05", "0.2", "1")]
        assert rungs == sorted(rungs, reverse=True) and rungs[-1] < rungs[0]
    ideal = mean(finding, "copies_0", "auth_pct")
    assert mean(finding, "copies_0.2", "auth_pct") == pytest.approx(0.8 * ideal, abs=1.5)


def test_moved_copies_pass_but_for_the_search_under_shifts(finding: Finding) -> None:
    for metric in COPYING:
        assert mean(finding, "shifted_copies", f"flagged_{metric}") == 0.0
    assert mean(finding, "shifted_copies", "nn_distance_ratio_shifts") == 0.0
    assert mean(finding, "shifted_copies", "flagged_nn_distance_ratio_shifts") == 100.0


def test_a_lost_class_is_of_as_many_samples_and_seen_by_the_class_histogram(
    finding: Finding, digits: Dataset
) -> None:
    sizes = {record.n for record in finding.records if not record.metric.startswith("flagged_")}
    counts = [np.bincount(np.asarray(digits.labels(split)))[0] for split in ("valid", "test")]
    assert sizes == {300 - sum(counts)}
    assert mean(finding, "dropped_class", "flagged_class_histogram_distance") > 50
    ideal, lost = (mean(finding, case, "class_histogram_distance") for case in ("copies_0", "dropped_class"))
    assert lost > 0.1 > ideal, "at least the share that is lost"


def test_sizes_leave_room_for_the_class_that_is_left_out(digits: Dataset) -> None:
    one = control(samples=100)
    labels = np.concatenate([np.asarray(digits.labels(split)) for split in ("valid", "test")])
    assert one._sizes(len(labels), labels) == (100, int((labels == 0).sum()))
    assert one._sizes(len(labels), None) == (100, 0)
    assert one._sizes(len(labels), np.zeros(600)) == (100, 0), "hardly any other class is left"


def test_no_sample_of_the_class_left_out_remains_and_none_is_in_the_reference(
    monkeypatch: pytest.MonkeyPatch, digits: Dataset
) -> None:
    """Every split, by the images themselves, as they come to be scored."""
    scored: list[tuple[set[bytes], set[bytes]]] = []

    def watching(samples: Source, reference: Source) -> dict[str, float]:
        scored.append(
            tuple({image.numpy().tobytes() for image in part.images} for part in (samples, reference))
        )
        return scores(samples, reference)

    monkeypatch.setattr("dgmbench.controls.copies.planted_copies.scores", watching)
    one = control(samples=100, cells=2)
    one.run(context("planted_copies", digits))
    cases, parts = [*map(case_name, one.settings.shares), SHIFTED, NOISE, DROPPED], ("valid", "test")
    assert len(scored) == 20 * len(cases)
    label = {
        image.tobytes(): int(kind)
        for split in parts
        for image, kind in zip(digits.images(split), digits.labels(split), strict=True)
    }
    for place, (samples, reference) in enumerate(scored):
        assert not samples & reference
        assert {label[image] for image in reference} == set(range(10))
        held_out = [label[image] for image in samples if image in label]
        if cases[place % len(cases)] == DROPPED:
            assert len(held_out) == 100 and 0 not in held_out
        elif cases[place % len(cases)] == case_name(0.0):
            assert len(held_out) == 100 and 0 in held_out


def test_parts_of_quality_see_what_is_theirs(finding: Finding) -> None:
    for metric in ("density", "coverage", "kid_domain", "fid_domain"):
        assert mean(finding, "noise", f"flagged_{metric}") == 100.0
    assert mean(finding, "noise", "precision") < mean(finding, "copies_0", "precision")
    for metric in ("precision", "density"):
        assert mean(finding, "dropped_class", f"flagged_{metric}") < 50
    assert mean(finding, "copies_1", "flagged_kid_domain") < 80
    assert mean(finding, "copies_0", "coverage") > 0.8


def test_fid_sees_noise_and_a_lost_class_and_no_copies(finding: Finding) -> None:
    assert mean(finding, "noise", "flagged_fid_domain") == 100.0
    assert mean(finding, "dropped_class", "flagged_fid_domain") > 50
    assert mean(finding, "copies_1", "flagged_fid_domain") < 80
    assert mean(finding, "copies_1", "fid_domain") < 2 * mean(finding, "copies_0", "fid_domain")
    assert mean(finding, "noise", "auth_pct") == 100.0
    assert finding.outcome in ("supported", "undecided")


def test_scores_are_those_of_the_evaluation(digits: Dataset) -> None:
    """What is put together from distances found once, against the scores of the images themselves."""
    one, about = control(samples=200), context("planted_copies", digits)
    sources = one._sources(about)
    heldout, copies = sources["heldout"], sources["copies"]
    samples = heldout[np.arange(150)] + copies[np.arange(50)]
    reference = heldout[np.arange(300, 600)]
    train = about.raw("train")
    cells = Cells(train, 10, about.sklearn_seed("cells"))
    found = scores(samples, reference)
    ratio = nn_distance_ratio(samples.images, reference.images, train).ratio
    assert found["nn_distance_ratio"] == pytest.approx(ratio)
    assert found["auth_pct"] == auth_pct(all_nearest(samples.images, train), train).value
    expected = c_t(cells.place(samples.images), cells.place(reference.images)).value
    assert found["c_t"] == pytest.approx(expected)
    assert torch.equal(reference.images, about.raw("test"))


def test_the_alarm_is_at_the_low_end_for_copying_and_at_the_high_end_for_fid() -> None:
    ideal = np.arange(100.0)
    values = {
        score: {"copies_0": ideal, "low": np.full(4, -1.0), "high": np.full(4, 200.0)}
        for score in ("c_t", "fid_domain")
    }
    trials = Trials(values, 300)
    assert [trials.flagged("c_t", case) for case in ("copies_0", "low", "high")] == [5, 100, 0]
    assert [trials.flagged("fid_domain", case) for case in ("copies_0", "low", "high")] == [5, 0, 100]
    low, high = trials.rate("c_t", "low"), trials.rate("c_t", "high")
    assert low.mean > 50 > high.mean and low.half == high.half > 0


def test_without_labels_and_classifier_pixels_remain(made_up: Callable[..., Dataset]) -> None:
    rng = np.random.default_rng(0)
    data = made_up(17, **{split: rng.integers(0, 17, (200, 1, 4, 4)) for split in ("train", "valid", "test")})
    finding = control(cells=2, samples=120).run(context("planted_copies", data))
    check(finding)
    rows = table(finding)
    assert {metric for _, metric in rows if "flagged" not in metric} == {*COPYING, "nn_distance_ratio_shifts"}
    assert not any(case == "dropped_class" for case, _ in rows)
    assert len(finding.panels) == 2


def test_the_same_seed_gives_the_same_bytes(digits: Dataset) -> None:
    first, again, other = (
        trace(control().run(context("planted_copies", digits, seed=seed))) for seed in (0, 0, 1)
    )
    assert first == again and first != other


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValidationError, match="begin with 0"):
        control(shares=[0.1, 1.0])
    for wrong in ({"shares": [0, 2, 1]}, {"samples": 3}, {"repetitions": 1}, {"cells": 0}, {"detected": 3}):
        with pytest.raises(ValidationError):
            control(**wrong)
