from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from dgmbench.data.batch import UNKNOWN
from dgmbench.data.schema import image_schema
from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.models.registry import family_class
from dgmbench.search.objective import Ground, Scored, candidate, score
from dgmbench.search.rows import Row
from dgmbench.search.settings import Entry, SearchSettings
from dgmbench.search.study import EntrySearch
from dgmbench.training.examples import Examples, Labelled, Part

SHAPE, LEVELS = (1, 4, 4), 17
VAE = {
    "family": "vae", "view": "binary", "latent_dim": 2, "hidden": [8],
    "training": {"epochs": 50, "batch_size": 25, "learning_rate": 1e-3},
}  # fmt: skip
SPACE = {
    "training.learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
    "latent_dim": [1, 2, 3],
}


def images() -> Examples:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(LEVELS, (150, *SHAPE), generator=generator).to(torch.uint8)
    return Examples(Part(pixels[:50]), Part(pixels[50:]), 0, (pixels[50:] > 8).to(torch.uint8))


def searching(folder: Path | None = None, block: dict[str, Any] = VAE, **changes: Any) -> EntrySearch:
    entry = {"epochs": 4, "space": SPACE} | changes.pop("entry", {})
    search = SearchSettings.model_validate(
        {"pipeline": "p", "dataset": "d", "trials": 5, "startup": 2, "confirmed": 2, "longer": 2}
        | {"confirming_seeds": [1, 2], "trial_seed": 0, "samples": 60, "entries": {"vae": entry}}
        | changes
    )
    ground = Ground.of(
        lambda seed: images(), image_schema(SHAPE, LEVELS), search.entries["vae"], search.samples, None
    )
    return EntrySearch(search, "vae", block, ground, folder)


def everything(search: EntrySearch) -> list[Row]:
    search.choose()
    search.train_longer()
    return search.rows()


def numbers(rows: list[Row]) -> list[Any]:
    return [(row.step, row.seed, row.epochs, row.settings, row.value, row.status, row.rungs) for row in rows]


def test_every_step_is_taken_and_the_committed_settings_are_tried_first() -> None:
    rows = everything(searching())
    trials = [row for row in rows if row.step == "trial"]
    assert len(trials) == 5
    assert trials[0].committed
    assert trials[0].settings == {"training.learning_rate": 1e-3, "latent_dim": 2}
    confirmed = [row for row in rows if row.step == "confirm"]
    assert {row.seed for row in confirmed} == {1, 2}
    assert any(row.committed for row in confirmed)
    longer = [row for row in rows if row.step == "longer"]
    assert [(row.seed, row.epochs) for row in longer] == [(1, 8), (2, 8)]


def test_the_least_mean_over_seeds_is_chosen_not_the_luckiest_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lucky(ground: Ground, settings: Any, seed: int, *report: Any) -> Scored:
        # The smallest latent is lucky with the seed of the trials, and poor with the others.
        value = {1: 0.0 if seed == 0 else 30.0, 2: 5.0, 3: 10.0}[settings.latent_dim]
        return Scored(value, "completed", 0.0, 1)

    monkeypatch.setattr("dgmbench.search.study.score", lucky)
    search = searching(trials=12)
    search.choose()
    assert search.decoded(search.chosen())["latent_dim"] == 2


@pytest.mark.parametrize("finished", [1, 7])
def test_an_interrupted_search_ends_as_an_uninterrupted_one(
    finished: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = everything(searching())
    left = [finished]

    def until(*arguments: Any) -> Scored:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return score(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("dgmbench.search.study.score", until)
        with pytest.raises(KeyboardInterrupt):
            everything(searching(tmp_path / "parts"))
    assert numbers(everything(searching(tmp_path / "parts"))) == numbers(whole)


def test_a_trial_below_the_median_is_stopped_at_a_rung() -> None:
    # Step sizes of 100 ruin the fit; the first four trials give the median.
    space = {"training.learning_rate": {"low": 1e-3, "high": 1e3, "log": True}, "latent_dim": [1, 2]}
    rows = everything(searching(trials=9, entry={"epochs": 8, "space": space}))
    stopped = [row for row in rows if row.status == "stopped"]
    assert stopped
    for row in stopped:
        rung = max(row.rungs)
        median = sorted(other.rungs[rung] for other in rows if rung in other.rungs and other.step == "trial")
        assert row.value is None
        assert row.rungs[rung] >= median[0]
        assert row.cpu_seconds > 0


def test_a_noisy_distance_on_the_way_stops_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bool] = []

    def scored(ground: Ground, settings: Any, seed: int, *report: Any) -> Scored:
        heard.append(bool(report))
        return Scored(1.0, "completed", 0.0, 1)

    monkeypatch.setattr("dgmbench.search.study.score", scored)
    for objective, expected in (("loss", True), ("fid_domain", False)):
        heard.clear()
        ground = Ground(lambda seed: images(), image_schema(SHAPE, LEVELS), objective, 10)
        search = SearchSettings.model_validate(
            {"pipeline": "p", "dataset": "d", "trials": 2}
            | {"entries": {"vae": {"epochs": 4, "objective": objective, "space": SPACE}}}
        )
        EntrySearch(search, "vae", VAE, ground, None).choose()
        assert heard[:2] == [expected] * 2


def test_a_score_is_the_least_validation_loss_of_its_training() -> None:
    ground = Ground.of(lambda seed: images(), image_schema(SHAPE, LEVELS), Entry(epochs=4), 10, None)
    short, long = (score(ground, candidate(VAE, epochs), 0) for epochs in (2, 12))
    assert math.isfinite(long.value)
    assert long.value <= short.value
    assert long.best_epoch is not None
    assert long.best_epoch <= 12
    assert list(long.rungs) == [0, 1]


def test_a_closed_form_has_no_length() -> None:
    block = {"family": "independent", "view": "binary"}
    rows = everything(searching(None, block, entry={"epochs": None, "space": {}}))
    assert [row.step for row in rows] == ["trial", "confirm", "confirm"]
    assert all(row.best_epoch is None for row in rows)


def test_a_generator_is_scored_by_its_distance_to_validation_images() -> None:
    block = {
        "family": "gan", "view": "gray", "generator_hidden": [8], "discriminator_hidden": [8],
        "least_variance": 0.0, "training": {"epochs": 4, "batch_size": 25},
    }  # fmt: skip
    torch.manual_seed(0)
    classifier = DomainClassifier(SHAPE, 3).eval()
    entry = Entry(epochs=4, objective="fid_domain")
    ground = Ground.of(lambda seed: images(), image_schema(SHAPE, LEVELS), entry, 100, classifier)
    first, again = (score(ground, candidate(block, 4), 0) for _ in range(2))
    assert first.value == again.value > 0
    assert set(first.rungs) == {0, 1}


def test_a_failed_training_is_the_worst() -> None:
    block = VAE | {"training": {"epochs": 3, "batch_size": 25, "learning_rate": 1e30}}
    ground = Ground.of(lambda seed: images(), image_schema(SHAPE, LEVELS), Entry(epochs=3), 10, None)
    failed = score(ground, candidate(block, 3), 0)
    assert (failed.value, failed.status) == (math.inf, "diverged")


@pytest.mark.parametrize(
    ("block", "rungs"),
    [
        ({"family": "mlp"}, [0, 1]),
        # Its classifier is fitted after the training.
        ({"family": "m1", "latent_dim": 2}, []),
        # Its first stage is as long as the first rung.
        ({"family": "m1_m2", "m1_epochs": 1, "m1_hidden": [8], "m1_latent_dim": 3}, [1]),
    ],
)
def test_a_classifier_is_scored_by_its_error_on_validation_images(
    block: dict[str, Any], rungs: list[int]
) -> None:
    block = {"view": "gray", "hidden": [8], "training": {"epochs": 4, "batch_size": 25}} | block
    family, label = family_class(block["family"]), torch.arange(150) % 3
    pixels = images().train.raw.new_zeros((150, *SHAPE)) + label[:, None, None, None].to(torch.uint8) * 8
    parts = [Part(pixels[rows], label[rows]) for rows in (slice(50), slice(50, 150))]
    labelled = None
    if family.supervision == "partial":
        labelled = Labelled(parts[0].at(slice(9)), 0 if block["family"] == "m1" else 9)
        parts[0] = Part(parts[0].raw, torch.full_like(parts[0].label, UNKNOWN))
    given = Examples(parts[0], parts[1], labelled=labelled)
    entry = Entry(epochs=4, objective="error")
    ground = Ground.of(lambda seed: given, image_schema(SHAPE, LEVELS, 3), entry, 10, None)
    scored = score(ground, candidate(block, 4), 0)
    assert scored.status == "completed" and 0 <= scored.value <= 100
    # A hundred validation images: the error is a whole number.
    assert scored.value == pytest.approx(round(scored.value), abs=1e-4)
    assert list(scored.rungs) == rungs and all(map(math.isfinite, scored.rungs.values()))
