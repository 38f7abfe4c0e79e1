"""Which models stand for a family, that views and devices never mix, and corrections for many pairs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from invented import (
    EXACT,
    FID,
    GAN,
    PIXEL,
    PLAIN,
    PPCA,
    RATE,
    VAE,
    VARIANT,
    cards_of,
    lines,
)
from places import ROOT

from dgmbench.claims.claim import judge_any, judge_every
from dgmbench.claims.lecture import CLAIMS, cards
from dgmbench.reporting.comparison.by_labels import by_labels
from dgmbench.reporting.comparison.from_records import comparisons
from dgmbench.results import read_records
from dgmbench.settings import compose
from dgmbench.statistics import Interval, simultaneous


def test_the_first_entry_of_a_family_stands_for_it() -> None:
    rows = lines(FID, {VAE: 9.0, VARIANT: 1.0, GAN: 2.0, PIXEL: 8.0})
    card = cards_of(rows)["gan_most_realistic"]
    assert card.verdict == "supported" and VARIANT not in card.models


def test_gray_goes_before_binary_and_views_never_mix() -> None:
    binary = lines(RATE, {VAE: 9000, PIXEL: 100}, view="binary")
    assert cards_of(binary)["vae_samples_efficiently"].view == "binary"
    gray = lines(RATE, {"g1": 300, "g2": 100})
    families = {"g1": "vae", "g2": "pixelcnn", VAE: "vae", PIXEL: "pixelcnn"}
    card = cards_of(gray + binary, families=families)["vae_samples_efficiently"]
    assert (card.view, card.verdict, card.models) == ("gray", "contradicted", ("g1", "g2"))
    mixed = lines(RATE, {VAE: 9000}) + lines(RATE, {PIXEL: 100}, view="binary")
    assert cards_of(mixed)["vae_samples_efficiently"].statistic == ""


def test_timings_of_two_devices_are_not_compared() -> None:
    rows = lines(RATE, {VAE: 9000}, device="cuda") + lines(RATE, {PIXEL: 100})
    card = cards_of(rows)["vae_samples_efficiently"]
    assert card.verdict == "undecided" and "measured on cpu and cuda" in card.statistic
    assert card.decider == "timings of both on one kind of device"


def test_a_ratio_of_timings_names_its_widened_interval() -> None:
    card = cards_of(lines(RATE, {VAE: 4000, PIXEL: 100}, spread=0.0))["vae_samples_efficiently"]
    assert "(40 times; 20 to 80 with a factor of 2 for the machine's load)" in card.statistic


def test_a_pair_among_many_has_to_be_clearer() -> None:
    others = {f"x{place}": "kde" for place in range(30)}
    families = {PPCA: "ppca", PLAIN: "independent"}
    first = lines(EXACT, {PPCA: 60.0, PLAIN: 40.0}, 0.05) + lines(FID, {PPCA: 30.0, PLAIN: 5.0}, 0.15)
    name = "likelihood_is_not_quality"
    assert cards_of(first, families=families)[name].verdict == "supported"
    more = lines(EXACT, dict.fromkeys(others, 50.0)) + lines(FID, dict.fromkeys(others, 6.0))
    card = cards_of(first + more, families=families | others)[name]
    assert card.verdict == "undecided" and "None of 496 pairs" in card.statistic


def test_one_of_several_contradicts_and_supports_at_the_level_of_all() -> None:
    assert simultaneous(1) == 0.95 and simultaneous(5) == pytest.approx(0.99)
    above, below = Interval(1.0, 0.5), Interval(-1.0, 0.5)
    assert judge_every([above, below], [above, below]) == "contradicted"
    assert judge_every([above, below], [above, Interval(-1.0, math.inf)]) == "undecided"
    assert judge_every([], []) == "undecided"
    assert judge_any([[below], [above]], [[below], [above]]) == ("supported", [1])
    assert judge_any([[below], [below]], [[below], [below]]) == ("contradicted", [])
    assert judge_any([], []) == ("undecided", [])


def test_the_committed_digits_decide_claims_or_say_what_would() -> None:
    settings = compose("digits")
    frame = read_records(Path(ROOT) / "reports" / "digits" / "results.csv")
    labels = by_labels(frame, "digits")
    tables = [*comparisons(frame, list(settings["models"])), *([labels] if labels else [])]
    families = {name: model["family"] for name, model in settings["models"].items()}
    found = cards(tables, frame, [], families)
    assert len(found) == len(CLAIMS) >= 15
    assert all((card.verdict == "undecided") == bool(card.decider) for card in found)
    assert all(card.models and card.metrics for card in found if card.statistic)
    # The others are for controls, whose findings are not in results.csv.
    assert sum(bool(card.statistic) for card in found) >= 10
    assert {model for card in found for model in card.models} <= set(frame["model"])
